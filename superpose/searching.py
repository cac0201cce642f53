"""Where Hydra looks for settings: in those that come with superpose, and before them in the root of the experiment.

A root's groups are thus there as well (`model=mine` for conf/model/mine.yaml), and win where a name is in both.
"""

from typing import ClassVar

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

from superpose import catalogue
from superpose.arguments import InputError, rewrite, value_of
from superpose.catalogue import Found


class RootFirst(SearchPathPlugin):
    """Puts the settings of the experiment's root before others. Hydra makes plugins itself, hence the class field."""

    found: ClassVar[Found | None] = None

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        if self.found is not None and self.found.root != catalogue.shipped():
            search_path.prepend("superpose", f"file://{self.found.root / 'conf'}")


def look_for(overrides: list[str]) -> str:
    """Make Hydra look in the root of the experiments that the overrides name; the folder of superpose's own settings.

    Raises:
        InputError: there is no such experiment, or those of a multirun lie in several roots.
    """
    named = (value_of(rewrite(overrides), "experiment") or catalogue.DEFAULT).split(",")
    found = [catalogue.find(name.strip()) for name in named]
    if len({each.root for each in found}) > 1:
        places = ", ".join(f"{each.name} in {each.root}" for each in found)
        raise InputError(f"One multirun takes experiments of one root, got {places}. Run one at a time.")
    RootFirst.found = found[0]
    Plugins.instance().register(RootFirst)
    return str(catalogue.shipped() / "conf")
