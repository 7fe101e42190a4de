"""Roles that are classes of others, named in a scenario by their place or as entry points."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from agentsim.settings.plugins import load_class
from agentsim.settings.strict import raise_faults

#: The group of entry points that roles are found under.
GROUP = "agentsim.roles"


def made_by(name: object, base: type[BaseModel], changes: dict[str, Any]) -> dict[str, Any]:
    """The fields of ``base``, as plain data, of what a class derived from it makes of some changes.

    Raises
    ------
    ValidationError
        With a fault at ``class`` where there is no such class, or with the faults that the class itself finds.
    """
    try:
        if not isinstance(name, str):
            raise ValueError(f"must be package.module:Class or the name of an entry point, got {name!r}")
        made = load_class(name, GROUP, base).model_validate(changes)
        return made.model_dump(mode="json", include=set(base.model_fields), warnings="error")
    except ValidationError:
        raise
    except PydanticSerializationError as error:
        text = f"{name!r} has defaults of another type than the fields of {base.__name__}: {error}"
    except ValueError as error:
        text = str(error)
    raise_faults(base.__name__, [(("class",), text, name)])
    return changes
