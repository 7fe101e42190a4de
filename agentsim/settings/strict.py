"""What all parts of a scenario share: strict models, and the small types that their fields are made of."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError


class Strict(BaseModel):
    """A frozen model that refuses unknown keys, numbers written as text and NaN."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, validate_by_name=True, validate_by_alias=True
    )


@dataclass(frozen=True)
class CheckedWith:
    """Names fields whose checks mean nothing while this one is bad."""

    names: tuple[str, ...]


#: How many; at least one.
Count = Annotated[int, Field(strict=True, ge=1)]
#: A share of something, from 0 to 1.
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
#: A weight; weights need not sum to one.
Weight = Annotated[float, Field(strict=True, ge=0)]
#: Name of a role or of a scenario's part.
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
#: A tool: the left side of a scope ``tool:resource``.
Tool = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
#: A resource, possibly with a path: the right side of a scope.
Resource = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*$", max_length=128)
]

#: A resource server: an absolute URI without a fragment (RFC 8707 section 2).
Audience = Annotated[str, Field(pattern=r"^[a-z][a-z0-9+.-]*://[^\s#]+$", max_length=256)]

Fault = tuple[tuple[str | int, ...], str, object]
"""Where (path of keys), what is wrong, and the value that is."""


def raise_faults(title: str, faults: Iterable[Fault]) -> None:
    """Raise all faults as one pydantic ``ValidationError``, so that each keeps its own path."""
    details: list[InitErrorDetails] = [
        # The text goes in as context: braces in it would be taken for placeholders.
        {"type": PydanticCustomError("fault", "{text}", {"text": text}), "loc": path, "input": value}
        for path, text, value in faults
    ]
    if details:
        raise ValidationError.from_exception_data(title, details)
