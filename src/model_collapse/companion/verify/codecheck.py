"""codecheck.yml: what somebody who checks this project by the CODECHECK process needs to know, from the register.

    model-collapse claims --codecheck > codecheck.yml

Format: https://codecheck.org.uk/spec/config/1.0/. The checker adds name, date and certificate.
"""

from __future__ import annotations

from typing import Any

from model_collapse import paths
from model_collapse.companion import claims
from model_collapse.companion.verify import SCALES, at
from model_collapse.errors import ExternalError


def codecheck() -> str:
    """The file's text. Its manifest has an entry per scale: the file that `verify` writes, and the claims in it.

    ExternalError where the package is installed without the repository, whose CITATION.cff says what the paper is.
    """
    import yaml

    root = paths.project()
    if root is None:
        raise ExternalError("--codecheck: CITATION.cff lies in the repository; get a copy of it")
    paper = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))["references"][0]
    config: dict[str, Any] = {
        "version": "https://codecheck.org.uk/spec/config/1.0/",
        "paper": {
            "title": paper["title"],
            "authors": [{"name": f"{who['given-names']} {who['family-names']}"} for who in paper["authors"]],
            "reference": f"https://doi.org/{paper['doi']}",
        },
        "manifest": [_entry(scale) for scale in SCALES],
    }

    class Dumper(yaml.SafeDumper):
        """Writes several lines as several lines."""

    def text(dumper: Any, value: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    return "---\n" + yaml.dump(config, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1000)


def _entry(scale: str) -> dict[str, str]:
    file = f"records/verify-{scale}.json"
    mine = [claim for claim in claims.known().values() if at(claim, scale)]
    lines = [f"{claim.id}: {claim.statement} ({claim.measured}: {claim.allowed})" for claim in mine]
    made = f"written by: model-collapse verify --scale {scale} --json {file}"
    return {"file": file, "comment": "\n".join([made, *lines])}
