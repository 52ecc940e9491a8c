"""`cloak notice`: what a portfolio site says to crawlers and to people."""

import re
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from cloak.cli.console import say
from cloak.cli.failures import explain
from cloak.cli.outcome import SCHEMA_VERSION, Outcome, exit_code, print_json
from cloak.cli.streams import STANDARD_STREAM
from cloak.errors import CloakError, UsageError
from cloak.notices import contradicted_by, notice_text, site_notices

__all__ = ["notice"]


def notice(
    dir_or_site: str,
    /,
    *,
    site: str = "",
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Write robots.txt, ai.txt, the TDM reservation, meta tags and a page in plain words for a portfolio site.

    A folder gets the files; an existing robots.txt keeps its lines and gets ours once. For the address of a site, or -,
    they are printed. Nothing is fetched. Examples: `cloak notice public/ --site https://example.org`, `cloak notice -`.

    Args:
        dir_or_site: Folder of the site, its address, or - for none.
        site: Address of the site whose folder is given, so that the reservation names the page as its policy.
        overwrite: Replace notices that exist already and differ.
        as_json: Print one JSON object per notice.
    """
    folder, address = _destination(dir_or_site, site)
    if folder is None:
        return _show(site_notices(address), as_json=as_json)
    outcomes = [_write(folder, name, address, overwrite=overwrite) for name in site_notices(address)]
    for outcome in outcomes:
        if as_json:
            print_json(outcome.as_json())
        failure = outcome.failure
        say(failure.message if failure else f"Written: {outcome.output}", style="red" if failure else None)
    return exit_code(outcomes)


def _destination(given: str, site: str) -> tuple[Path | None, str]:
    """The folder to write to, None to print, and the site's address."""
    if given == STANDARD_STREAM:
        return None, site
    if Path(given).is_dir():
        return Path(given), site
    if site:
        raise UsageError(f"{given!r} is no folder; with --site give the folder of the site or -.")
    if re.match("https?://", given):
        return None, given
    if re.fullmatch(r"[\w-]+(\.[\w-]+)+", given) and not Path(given).exists():
        return None, f"https://{given}"
    raise UsageError(
        f"{given!r} is neither a folder nor the address of a site; give one like https://example.org, or -."
    )


def _show(notices: dict[str, str], *, as_json: bool) -> int:
    for name, text in notices.items():
        if as_json:
            print_json({"schema_version": SCHEMA_VERSION, "file": name, "text": text})
        else:
            print(f"==> {name} <==\n{text}")
    return 0


def _write(folder: Path, name: str, site: str, *, overwrite: bool) -> Outcome:
    from cloak.image import write_file

    path = folder / name
    try:
        data = notice_text(path, name, site)
        before = path.read_bytes() if path.is_file() else None
        if before is not None and name == "robots.txt":
            _warn(before)
        if before != data:
            path.parent.mkdir(exist_ok=True)
            write_file(data, path, overwrite=overwrite or name == "robots.txt")
    except (CloakError, OSError) as error:
        return Outcome(name, "failed", failure=explain(error))
    return Outcome(name, "done", output=path)


def _warn(robots: bytes) -> None:
    if named := contradicted_by(robots):
        say(f"robots.txt has other rules for {', '.join(named)}; see that they do not let them in.", style="yellow")
