"""Objects that a user gives in place of a name: checked before a fit, and named in a file."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, NamedTuple

from pyfairme.data import TARGETS
from pyfairme.data.design_state import rebuilt
from pyfairme.data.input_types import PathLike
from pyfairme.data.schema import attribute_name
from pyfairme.inference.guides import GUIDES, GuideFamily
from pyfairme.model.likelihoods import LIKELIHOODS, Likelihood
from pyfairme.model.object_names import object_name
from pyfairme.model.penalties import PENALTIES, Fairness, penalties_of
from pyfairme.notices import shown
from pyfairme.persistence import as_of_a_file

OBJECT = "object"  # key of an object's place in a saved state
KEYWORDS = ("likelihood", "fairness", "guide", "prior")  # those that take objects
# of the history's columns and the program's sites
_TERMS = ("mixed", "fixed", "random", "kl", "cluster_adversary", "disparity", "skill", "validation")
RESERVED = frozenset((*_TERMS, "epoch", "fixed_loss", "joint", "member", "network", "rows", "y"))


def check_value(keyword: str, given: Any) -> None:
    """Refuse what cannot be a key: programs are compiled once for each equal object."""
    if isinstance(given, type):
        raise ValueError(
            f"{keyword}={given.__name__} is a class: give an object of it, {given.__name__}(). "
            "[class-for-object]"
        )
    try:
        other = copy.deepcopy(given)
        is_key = other == given and hash(other) == hash(given)
    except (TypeError, ValueError):  # ValueError: an array as field, compared
        is_key = False
    if not is_key:
        raise ValueError(
            f"{keyword}={shown(given)} does not equal its own copy, or cannot be hashed: every fit "
            "would compile anew. Make its class a frozen dataclass, @dataclass(frozen=True), with "
            "numbers, text or tuples as fields. [not-a-value]"
        )


def check_name(keyword: str, given: object, taken: Iterable[str]) -> None:
    """Refuse the name of an object under which its terms could not be told from others."""
    name = object_name(given)
    if not name.isidentifier() or name in taken:
        what = "is taken" if name in taken else "is no name of a variable in Python"
        raise ValueError(
            f"{keyword}={shown(given)} has the name {name!r}, which {what}: give its class another "
            'name, or an attribute name = "...". [object-name]'
        )


def check_fairness(fairness: Fairness, sensitive: Iterable[Any]) -> None:
    """Check penalties that are objects; names are checked where all keywords are."""
    attributes = {attribute_name(entry) for entry in sensitive}
    for name, penalty in penalties_of(fairness):
        if PENALTIES.get(name) != penalty:
            check_value("fairness", penalty)
            check_name("fairness", penalty, {*PENALTIES, *RESERVED, *attributes})


def check_likelihood(given: Any) -> None:
    """Check a regressor's likelihood: one of the names, or an object that can do all it must."""
    if not _is_object("likelihood", given, LIKELIHOODS):
        return
    check_value("likelihood", given)
    check_members("likelihood", given, Likelihood)
    kinds = [kind for kind in TARGETS if kind != "class"]
    if given.target not in kinds or given.outputs != 1:
        raise ValueError(
            f"likelihood={shown(given)} has target={shown(given.target)} and "
            f"outputs={shown(given.outputs)}: a regressor's has one output, and as target one of "
            f"{kinds}. [likelihood-target]"
        )


def check_guide(given: object) -> None:
    """Check a guide: one of the names, or an object that can do all it must."""
    if _is_object("guide", given, ("auto", *GUIDES)):
        check_value("guide", given)
        check_name("guide", given, ("auto", *GUIDES))
        check_members("guide", given, GuideFamily)


def _is_object(keyword: str, given: object, names: Iterable[str]) -> bool:
    """Tell an object from one of the names; refuse other names, and what is plainly neither."""
    plain = str | bytes | int | float | tuple | list | set | Mapping
    if given is not None and not isinstance(given, plain):
        return True
    if not isinstance(given, str) or given not in names:
        raise ValueError(
            f"Invalid value of {keyword}: {shown(given)}. Valid values are {list(names)}, or an "
            "object of your own (docs/extending.md). [unknown-choice]"
        )
    return False


def check_members(keyword: str, given: object, protocol: type) -> None:
    """Refuse an object that lacks members of what it is to be."""
    missing = [name for name in vars(protocol) if name[0] != "_" and not hasattr(given, name)]
    if missing:
        raise ValueError(
            f"{keyword}={shown(given)} cannot be a {keyword}: it has no {', '.join(missing)}. "
            "docs/extending.md says what each is. [missing-members]"
        )


# Files ------------------------------------------------------------------------------------------


class SavedObject(NamedTuple):
    """How a file names an object: the keyword it was given for, its name and configuration."""

    keyword: str
    name: str
    configuration: Mapping[str, str]

    @property
    def text(self) -> str:
        """What a message says of it."""
        inside = ", ".join(f"{field}={value}" for field, value in self.configuration.items())
        return f"{self.name}({inside})"


def plain_object(keyword: str, given: object) -> dict[str, Any]:
    """Return what a file says of an object: never its code."""
    return {OBJECT: [keyword, object_name(given), _configuration(given)]}


def object_text(given: object) -> str:
    """Return an object as the text that a file has of it: its name and fields."""
    return SavedObject("", object_name(given), _configuration(given)).text


def rich_object(saved: Any, objects: Mapping[str, Any]) -> Any:
    """Return the object that a file names, out of those that are given; see `check_objects`."""
    return {**_built_in(), **objects}[_saved(saved).name]


def _needed(params: Mapping[str, Any]) -> list[SavedObject]:
    """Return the objects that saved keywords name."""
    return [_saved(one) for keyword in KEYWORDS for one in _objects_in(params.get(keyword))]


def _objects_in(value: Any) -> Iterator[Any]:
    """Yield what a saved keyword holds of objects, in lists and dictionaries of them too."""
    if isinstance(value, Mapping) and OBJECT in value:
        yield value[OBJECT]
    elif isinstance(value, Mapping):
        yield from _objects_in(value.get("pairs"))
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _objects_in(one)


def check_objects(path: PathLike, state: Any, objects: Mapping[str, Any] | None) -> None:
    """Raise ValueError unless every object that a saved estimator names is given, alike."""
    with as_of_a_file(path):
        needed = _needed(state["params"])
    objects = {**_built_in(), **(objects or {})}
    for saved in needed:
        if saved.name not in objects:
            raise ValueError(
                f"The model in {str(path)!r} was fitted with an object of your own, "
                f"{saved.keyword}={saved.text}, and a file holds no code: import its class and "
                f"give load(path, objects={{{saved.name!r}: ...}}). [object-missing]"
            )
        given = objects[saved.name]
        check_value("objects", given)
        configuration = _as_then(_configuration(given), saved.configuration, given)
        now = SavedObject(saved.keyword, object_name(given), configuration)
        if now != saved:
            raise ValueError(
                f"The model in {str(path)!r} was fitted with {saved.keyword}={saved.text}, and "
                f"objects has {now.text} for it: configure it as it was then. [object-differs]"
            )


def _as_then(now: dict[str, str], then: Mapping[str, str], given: object) -> dict[str, str]:
    """Leave out fields that a class did not have at the time, where they are at their default."""
    unset = {one.name for one in _fields(given) if now[one.name] == _text_of_default(one)}
    return {name: text for name, text in now.items() if name in then or name not in unset}


def _built_in() -> dict[str, Any]:
    """Return what needs not be given, as it comes with the package."""
    return {**PENALTIES, **{name: likelihood() for name, likelihood in LIKELIHOODS.items()}}


def _saved(saved: Any) -> SavedObject:
    keyword, name, configuration = saved
    return SavedObject(
        rebuilt(str, keyword),
        rebuilt(str, name),
        {rebuilt(str, field): rebuilt(str, value) for field, value in configuration.items()},
    )


def _configuration(given: object) -> dict[str, str]:
    """Return every field of a dataclass as the text that makes it; nothing of other objects."""
    return {field.name: repr(getattr(given, field.name)) for field in _fields(given)}


def _text_of_default(field: Field[Any]) -> str | None:
    """Return a field's default as `_configuration` writes values; None where it has none."""
    if field.default_factory is not MISSING:
        return repr(field.default_factory())
    return None if field.default is MISSING else repr(field.default)


def _fields(given: object) -> tuple[Field[Any], ...]:
    return fields(given) if is_dataclass(given) else ()
