"""What a checkpoint that is refused is told to differ in."""

import pytest

from scripts.common.errors import InputError
from scripts.models.checkpoint import refuse_others

pytestmark = pytest.mark.torch
MEAN = [-101.48670334948434 + place for place in range(136)]


@pytest.mark.parametrize(
    ("said", "given", "message"),
    [
        (
            [*MEAN[:134], MEAN[134] + 1e-9, MEAN[135] - 0.25],
            MEAN,
            "2 of 136 numbers are others than those that are given, by up to 0.25",
        ),
        (MEAN[:100], MEAN, "100 numbers, where 136 are given"),
        ("25", "30", "25, where 30 is given"),
        (None, MEAN[:2], "None, where [-101.48670334948434, -100.48670334948434] is given"),
    ],
)
def test_numbers_that_look_alike_are_told_apart(said, given, message):
    with pytest.raises(InputError) as error:
        refuse_others({"mean": said}, {"mean": given}, "a.ckpt")
    assert error.value.message == f"a.ckpt was trained with another mean: {message}"
