"""The options of a removal, for clients that offer them without knowing each by name."""

from fastapi import APIRouter
from typing_extensions import TypedDict

from shared.options import Option, OptionKind, declared_options

router = APIRouter(tags=["remove"])


class OptionInfo(TypedDict):
    """One option. `choices` are those of a "choice", the limits those of an "integer"."""

    name: str
    kind: OptionKind
    default: str | int | bool | None
    choices: tuple[str, ...]
    minimum: int | None
    maximum: int | None
    unit: str | None
    help: str


@router.get("/options")
async def options() -> list[OptionInfo]:
    """Every option that an upload, a URL or the command line may carry, in the order to offer them."""
    return [_info(option) for option in declared_options()]


def _info(option: Option) -> OptionInfo:
    return {
        "name": option.name,
        "kind": option.kind,
        "default": option.default,
        "choices": option.choices,
        "minimum": option.minimum,
        "maximum": option.maximum,
        "unit": option.unit,
        "help": option.help,
    }
