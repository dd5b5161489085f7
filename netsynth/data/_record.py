"""What every record can do: become a plain dict or JSON and come back without loss, and show as a table."""

from __future__ import annotations

import dataclasses
import functools
import json
import types
import typing
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from netsynth import _format
from netsynth._typing import JSON
from netsynth.errors import InvalidInputError


class Record:
    """Base of the frozen, slotted dataclasses that hold what a paper says."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    def _freeze(self, *names: str, where: str) -> None:
        """Turn lists in these fields into tuples, so that the record can be hashed and compared."""
        for name in names:
            value = getattr(self, name)
            if not isinstance(value, list | tuple):
                raise InvalidInputError(f"{where}: {name} must be a list or tuple; got {value!r:.80}.")
            items = tuple(tuple(item) if isinstance(item, list) else item for item in value)
            object.__setattr__(self, name, items)

    def to_dict(self) -> JSON:
        """Plain dict of the fields that differ from their defaults; nested records become dicts.

        What a record works out for itself, such as the warnings of a review, is worked out again by `from_dict`.
        """
        plain: JSON = {}
        for field in _given_fields(type(self)):
            value = getattr(self, field.name)
            if field.default is dataclasses.MISSING or value != field.default:
                plain[field.name] = _plain(value)
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Record from what `to_dict` made; every check of the constructor runs again.

        Raises
        ------
        InvalidInputError
            If a field is unknown or missing, or a value has the wrong type.
        """
        if not isinstance(data, Mapping):
            raise InvalidInputError(f"{cls.__name__} must be a mapping of fields; got {data!r:.80}.")
        hints: dict[str, Any] = _field_types(cls)  # type: ignore[arg-type]  # a class is hashable
        unknown = sorted(set(data) - set(hints))
        if unknown:
            raise InvalidInputError(
                f"{cls.__name__} has no field {unknown[0]!r}; its fields are {', '.join(hints)}."
            )
        missing = [
            field.name
            for field in _given_fields(cls)
            if field.name not in data
            and field.default is dataclasses.MISSING
            and field.default_factory is dataclasses.MISSING
        ]
        if missing:
            raise InvalidInputError(f"{cls.__name__} needs the field {missing[0]!r}.")
        values = {
            name: _rebuilt(hints[name], value, f"{cls.__name__}.{name}") for name, value in data.items()
        }
        return cls(**values)

    def to_json(self, *, indent: int | None = None) -> str:
        """JSON text of `to_dict`."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=indent, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Record from what `to_json` wrote.

        Raises
        ------
        InvalidInputError
            If the text is not JSON, or as `from_dict`.
        """
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise InvalidInputError(f"{cls.__name__}: not JSON: {error}.") from None
        return cls.from_dict(data)

    def _repr_html_(self) -> str:
        rows = [
            (field.name, "; ".join(map(str, value)) if isinstance(value, tuple) else str(value))
            for field in dataclasses.fields(self)
            if (value := getattr(self, field.name)) not in (None, "", ())
        ]
        return _format.html_table(("field", "value"), rows, caption=type(self).__name__)


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


@functools.cache
def _field_types(cls: type[Record]) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in _given_fields(cls)}


def _given_fields(cls: type[Record]) -> list[dataclasses.Field[Any]]:
    """Fields that the constructor takes."""
    return [field for field in dataclasses.fields(cls) if field.init]


def _rebuilt(kind: Any, value: Any, where: str) -> Any:
    """`value`, as JSON holds it, in the type the field declares."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        (kind,) = (choice for choice in arguments if choice is not type(None))
        return _rebuilt(kind, value, where)
    if origin is typing.Literal:
        return value  # the constructor checks it and names the choices
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise InvalidInputError(f"{where} must be a list; got {value!r:.80}.")
        if arguments[-1] is Ellipsis:
            return tuple(_rebuilt(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
        if len(value) != len(arguments):
            raise InvalidInputError(f"{where} must have {len(arguments)} items; got {len(value)}.")
        return tuple(_rebuilt(part, item, where) for part, item in zip(arguments, value, strict=True))
    if isinstance(kind, type) and issubclass(kind, Record):
        return value if isinstance(value, kind) else kind.from_dict(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InvalidInputError(f"{where} must be {kind.__name__}; got {value!r:.80}.")
    return value
