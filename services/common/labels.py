"""The six labels of the RSNA 2019 challenge, in the order used everywhere."""

from typing import Final, Literal, get_args

Label = Literal["any", "epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural"]

LABELS: Final[tuple[Label, ...]] = get_args(Label)
SUBTYPES: Final[tuple[Label, ...]] = LABELS[1:]
