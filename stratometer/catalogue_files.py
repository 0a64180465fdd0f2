"""Price lists as the command line names them: a file, or a list of the books as ID, ID@VERSION or ID@draft."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from billing.protocol import Books
from rating.lists import PriceList
from rating.price_list import parse
from schemas.errors import Misconfigured
from schemas.meters import Registry


@dataclass(frozen=True, slots=True)
class Source:
    """A document and what it says; `label` is how people read where it came from."""

    label: str
    document: str
    price_list: PriceList


def source_of(name: str, registry: Registry, books: Callable[[], Books]) -> Source:
    """Return what a name stands for; a file of that name goes before a list.

    Args:
        name: path, ID, ID@VERSION or ID@draft.
        registry: the meters.
        books: opens the books; called only where they are needed.

    Raises:
        Misconfigured: nothing of that name, or a document with mistakes.
    """
    if Path(name).is_file():
        text = read_file(Path(name))
        return Source(name, text, _parsed(name, text, registry, 1))
    price_list, _, version = name.partition("@")
    if version == "draft":
        draft = books().draft(price_list)
        if draft is None:
            raise Misconfigured([f"{name}: there is no draft of {price_list!r}"])
        return Source(f"draft of {price_list}", draft.document, _parsed(name, draft.document, registry, 1))
    versions = books().price_list_versions(price_list)
    if not versions:
        raise Misconfigured([f"{name}: neither a file nor a price list of the books"])
    number = version or str(len(versions))
    if not (number.isascii() and number.isdecimal()) or not 1 <= int(number) <= len(versions):
        raise Misconfigured([f"{name}: {price_list} has versions 1 to {len(versions)}, and perhaps a draft"])
    stored = versions[int(number) - 1]
    found = _parsed(name, stored.document, registry, stored.version)
    return Source(f"{price_list} v{stored.version}", stored.document, found)


def read_file(path: Path) -> str:
    """Return a file's text; raises Misconfigured when it is none."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured([f"{path}: cannot be read as UTF-8 text: {error}"]) from error


def _parsed(name: str, text: str, registry: Registry, version: int) -> PriceList:
    try:
        return parse(text, registry, version=version)
    except Misconfigured as error:
        raise Misconfigured([f"{name}: {problem}" for problem in error.problems]) from error
