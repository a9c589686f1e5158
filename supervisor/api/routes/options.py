"""The options of a removal, for clients that offer them without knowing each by name."""

from fastapi import APIRouter

from shared.options import Option, declared_options

router = APIRouter(tags=["remove"])


@router.get("/options")
async def options() -> list[Option]:
    """Every option that an upload, a URL or the command line may carry, in the order to offer them."""
    return declared_options()
