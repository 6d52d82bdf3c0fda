"""The ledger, the sample index and the table of splits: what is written comes back."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common import ledger, sample_index
from scripts.common.ledger import Row
from scripts.datasets import split_table
from scripts.datasets.split_table import Membership

pytestmark = pytest.mark.usefixtures("here")

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
PRINTABLE = TEXT.filter(str.isprintable)
NUMBERS = st.none() | st.floats(allow_nan=False)
INSTANTS = st.none() | st.integers(-(2**63), 2**63 - 1)
ROWS = st.builds(
    lambda outcome, reason, **others: Row(outcome=outcome, reason="" if outcome == "written" else reason, **others),
    outcome=st.sampled_from(ledger.OUTCOMES),
    reason=TEXT.filter(bool),
    step=TEXT, recording=TEXT, item=TEXT, value=NUMBERS, limit=NUMBERS, message=TEXT,
    start_ns=INSTANTS, stop_ns=INSTANTS,
)  # fmt: skip


@given(st.lists(ROWS, max_size=4), st.lists(ROWS, max_size=4))
@settings(max_examples=50)
def test_rows_come_back_in_the_order_of_the_files(first, second):
    ledger.write(Path("1.parquet"), first)
    ledger.write(Path("2.parquet"), second)
    assert ledger.rows(ledger.read([Path("1.parquet"), Path("2.parquet")])) == first + second


def test_no_ledger_is_a_ledger_without_rows():
    assert ledger.rows(ledger.read([])) == []


def test_the_same_rows_are_the_same_bytes():
    for name in ("1.parquet", "2.parquet"):
        ledger.write(Path(name), [Row("s", "r", "i", "filtered", "jump", 0.3, 0.25)])
    assert Path("1.parquet").read_bytes() == Path("2.parquet").read_bytes()


def test_a_folder_with_an_equals_sign_in_its_name_is_no_column():
    folder = Path("recording=7")
    folder.mkdir()
    ledger.write(folder / "a.parquet", [Row("s", "r", "i", "written")])
    assert ledger.read([folder / "a.parquet"])["recording"].to_pylist() == ["r"]
    sample_index.write(folder / "b.parquet", [])
    assert sample_index.read(folder / "b.parquet").schema == sample_index.SCHEMA


@pytest.mark.parametrize(
    ("outcome", "reason"), [("written", "jump"), ("filtered", ""), ("failed", ""), ("dropped", "jump"), ("", "")]
)
def test_an_outcome_and_its_reason_go_together(outcome, reason):
    with pytest.raises(ValueError, match=r"outcome|reason"):
        Row("s", "r", "i", outcome, reason)


def test_a_table_that_is_no_ledger_is_refused():
    sample_index.write(Path("a.parquet"), [])
    names = set(pq.read_schema("a.parquet").names)
    assert not set(ledger.SCHEMA.names) <= names


@given(st.dictionaries(PRINTABLE, st.builds(Membership, PRINTABLE, st.sampled_from(["train", "val"]))))
@settings(max_examples=50)
def test_a_table_of_splits_comes_back(members):
    split_table.write(Path("splits.tsv"), members)
    assert split_table.read(Path("splits.tsv")) == members


def test_a_table_of_splits_is_plain_text():
    split_table.write(Path("splits.tsv"), {"a": Membership("Ann", "train"), "b": Membership("Bob B.", "val")})
    assert Path("splits.tsv").read_text() == "recording\tsubject\tsplit\na\tAnn\ttrain\nb\tBob B.\tval\n"
