"""A Whisper of one layer that hears "hello" in everything: every weight is zero but those that choose the word."""

from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.specs.whisper_spec import WhisperSpec
from tokenizers import AddedToken, Tokenizer, decoders, models

WORDS = [" there", " hello", " world"]
SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>"]
SPECIAL += ["<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
SPECIAL += [f"<|{step * 0.02:.2f}|>" for step in range(1501)]
WIDTH, MELS, FRAMES, TOKENS = 16, 80, 1500, 448


def build(folder: Path) -> Path:
    """Write the model in CTranslate2's form; returns its folder."""
    spec = WhisperSpec(1, 2, 1, 2)
    vocabulary = WORDS + SPECIAL
    chosen = np.zeros((len(vocabulary), WIDTH), np.float32)
    chosen[WORDS.index(" hello"), 0] = 5
    chosen[len(WORDS) :, 0] = -5
    _encoder(spec.encoder)
    _decoder(spec.decoder, chosen)
    spec.register_vocabulary(vocabulary)
    spec.config.suppress_ids = spec.config.suppress_ids_begin = []
    spec.config.lang_ids = [vocabulary.index("<|en|>")]
    spec.config.alignment_heads = [(0, 0)]
    spec.validate()
    folder.mkdir()
    spec.save(str(folder))
    numbers = {word: number for number, word in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token=WORDS[0]))
    tokenizer.add_special_tokens([AddedToken(word, special=True) for word in SPECIAL])
    tokenizer.decoder = decoders.Fuse()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def _encoder(spec: Any) -> None:
    for layer, inputs in ((spec.conv1, MELS), (spec.conv2, WIDTH)):
        layer.weight, layer.bias = np.zeros((WIDTH, inputs, 3), np.float32), np.zeros(WIDTH, np.float32)
    spec.position_encodings.encodings = np.zeros((FRAMES, WIDTH), np.float32)
    _norm(spec.layer_norm)
    for layer in spec.layer:
        _attention(layer.self_attention, (3, 1))
        _feed_forward(layer.ffn)


def _decoder(spec: Any, chosen: np.ndarray) -> None:
    spec.embeddings.weight = spec.projection.weight = chosen
    spec.position_encodings.encodings = np.zeros((TOKENS, WIDTH), np.float32)
    spec.scale_embeddings = False
    _norm(spec.layer_norm, np.eye(WIDTH, dtype=np.float32)[0])
    for layer in spec.layer:
        _attention(layer.self_attention, (3, 1))
        _attention(layer.attention, (1, 2, 1))
        _feed_forward(layer.ffn)


def _attention(spec: Any, sizes: tuple[int, ...]) -> None:
    _norm(spec.layer_norm)
    for linear, size in zip(spec.linear, sizes, strict=True):
        _linear(linear, size * WIDTH, WIDTH)


def _feed_forward(spec: Any) -> None:
    _norm(spec.layer_norm)
    _linear(spec.linear_0, 4 * WIDTH, WIDTH)
    _linear(spec.linear_1, WIDTH, 4 * WIDTH)


def _linear(spec: Any, outputs: int, inputs: int) -> None:
    spec.weight, spec.bias = np.zeros((outputs, inputs), np.float32), np.zeros(outputs, np.float32)


def _norm(spec: Any, beta: np.ndarray | None = None) -> None:
    spec.gamma = np.zeros(WIDTH, np.float32)
    spec.beta = np.zeros(WIDTH, np.float32) if beta is None else beta
