"""codecheck.yml: what somebody who checks this project by the CODECHECK process needs to know, from the register.

    model-collapse claims --codecheck > codecheck.yml

Format: https://codecheck.org.uk/spec/config/1.0/. The checker adds name, date and certificate.
"""

from __future__ import annotations

from model_collapse import claims
from model_collapse.verify import SCALES, at

PAPER = {
    "title": "AI models collapse when trained on recursively generated data",
    "authors": [
        {"name": name}
        for name in (
            "Ilia Shumailov",
            "Zakhar Shumaylov",
            "Yiren Zhao",
            "Nicolas Papernot",
            "Ross Anderson",
            "Yarin Gal",
        )
    ],
    "reference": "https://doi.org/10.1038/s41586-024-07566-y",
}


def codecheck() -> str:
    """The file's text. Its manifest has an entry per scale: the file that `verify` writes, and the claims in it."""
    import yaml

    manifest = []
    for scale in SCALES:
        mine = [claim for claim in claims.known().values() if at(claim, scale)]
        said = "; ".join(f"{claim.id}: {claim.statement} ({claim.measured}, allowed {claim.allowed})" for claim in mine)
        file = f"records/verify-{scale}.json"
        command = f"model-collapse verify --scale {scale} --json {file}"
        manifest.append({"file": file, "comment": f"{command} makes it. {said}."})
    config = {"version": "https://codecheck.org.uk/spec/config/1.0/", "paper": PAPER, "manifest": manifest}
    return "---\n" + yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=120)
