# tests/run: timeout=600
"""AsyncAPI's own parser has nothing to say against deploy/contract/asyncapi.yaml, and
would have."""

import json
import os
import pathlib
import shutil

import languages
import tap

ROOT = pathlib.Path(os.environ.get("TEST_ROOT") or pathlib.Path(__file__).parents[2])
HERE = ROOT / "tests" / "contract"
TMP = pathlib.Path(os.environ["TEST_TMP"])

# What is done to a copy, and has to be found.
SPOILT = {
    "an action that there isn't": ("action: send", "action: shout"),
    "a field of a binding that there isn't": ("groupId:", "groupID:"),
    "a binding of another version": ("bindingVersion: 0.5.0", "bindingVersion: 0.9.9"),
    "partitions that are no number": ("partitions: 12", "partitions: many"),
    "a message without its schema": ("./progress.schema.json", "./none.schema.json"),
}


def main():
    contract = TMP / "contract"
    shutil.copytree(ROOT / "deploy" / "contract", contract)
    whole = (contract / "asyncapi.yaml").read_text()
    paths = [contract / "asyncapi.yaml"]
    for n, (old, new) in enumerate(SPOILT.values()):
        paths.append(contract / f"spoilt-{n}.yaml")
        tap.check(old in whole, f"asyncapi.yaml has {old!r}")
        paths[-1].write_text(whole.replace(old, new, 1))
    folder, env = languages.node_modules("contract", HERE / "package.json")
    shutil.copy(HERE / "asyncapi.mjs", folder)
    said = [json.loads(line) for line in
            languages.run("node", "asyncapi.mjs", *paths, folder=folder, env=env).splitlines()]
    tap.equal(len(said), len(paths), "the parser speaks of each document")
    tap.equal(said[0], {"version": "3.1.0", "findings": []},
              "asyncapi.yaml is AsyncAPI 3.1, without a finding")
    for what, one in zip(SPOILT, said[1:]):
        tap.check(one["findings"], f"{what} would be found")


tap.run(main)
