"""The store to which datasets leave: whether it answers, before anything is made for it."""

import socket
import sys
from typing import Any
from urllib.parse import urlsplit

from scripts.common.errors import ConfigError

TARGET = "publish"
REACH_S = 5.0


def check_store(workflow: Any, prefix: str) -> None:
    """Raises ConfigError, in one line, if the run is asked to publish and the store cannot take anything."""
    if TARGET not in sys.argv or not workflow.is_main_process:
        return
    if not prefix:
        raise ConfigError("publish: the config does not say where to; set publish: s3://bucket/folder")
    if not prefix.startswith("s3:"):
        return
    tagged = (workflow.storage_provider_settings or {}).get("s3")
    settings = tagged.get_settings(None) if tagged else None
    url = getattr(settings, "endpoint_url", None)
    if url:
        check_reachable(url)
    check_bucket(prefix, url, *(getattr(settings, name, None) for name in ("access_key", "secret_key", "token")))


def check_reachable(url: str) -> None:
    """Raises ConfigError if nothing answers at an endpoint."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=REACH_S):
            pass
    except OSError as error:
        said = error.strerror or error
        raise ConfigError(f"publish: nothing answers at {url} ({said}); is the endpoint right?") from None


def check_bucket(prefix: str, url: str | None, access: str | None, secret: str | None, token: str | None) -> None:
    """Raises ConfigError if the bucket may not be asked: no keys, or wrong ones. One that is not there will be made."""
    import boto3
    import botocore.exceptions

    bucket = urlsplit(prefix).netloc
    keys = {"aws_access_key_id": access, "aws_secret_access_key": secret, "aws_session_token": token}
    try:
        boto3.client("s3", endpoint_url=url, **keys).head_bucket(Bucket=bucket)
    except botocore.exceptions.NoCredentialsError:
        message = "there are no keys; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write ~/.aws/credentials"
        raise ConfigError(f"publish: {message}") from None
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
            raise ConfigError(f"publish: the store refuses the bucket `{bucket}` ({error})") from None
    except botocore.exceptions.BotoCoreError as error:
        raise ConfigError(f"publish: the store cannot be asked ({error})") from None
