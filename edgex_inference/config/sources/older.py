"""EdgeX 2's spellings of the message bus and of secrets, as today's keys with their places."""

from collections.abc import Iterator
from dataclasses import replace

from edgex_inference.config.places import Entry, Node, Steps

_OLD = ("Trigger", "EdgexMessageBus")
_BASE = "edgex/"
_MOVES: tuple[tuple[Steps, Steps], ...] = (
    (("Type",), ("MessageBus", "Type")),
    (("SubscribeHost", "Protocol"), ("MessageBus", "Protocol")),
    (("SubscribeHost", "Host"), ("MessageBus", "Host")),
    (("SubscribeHost", "Port"), ("MessageBus", "Port")),
    (("SubscribeHost", "SubscribeTopics"), ("Trigger", "SubscribeTopics")),
    (("PublishHost", "PublishTopic"), ("Trigger", "PublishTopic")),
    (("Optional", "authmode"), ("MessageBus", "AuthMode")),
    (("Optional", "secretname"), ("MessageBus", "SecretName")),
    (("Optional",), ("MessageBus", "Optional")),
)
_SECRETS = {"path": "SecretName", "Path": "SecretName", "Secrets": "SecretData"}


def modern(root: Node) -> Node:
    """A configuration with `Trigger.EdgexMessageBus` and `path`, `Secrets` of secrets where EdgeX 3 has them.

    EdgeX 2 reads and publishes through hosts of their own; one connection does both here, that of SubscribeHost.
    """
    old = root.find(*_OLD)
    if old is not None and old.entries:
        root = _without(root, _OLD)
        for steps, today in _MOVES:
            found = old.find(*steps)
            if found is None or found.value is None:
                continue
            for one in ("authmode", "secretname"):
                found = _without(found, (one,)) if steps == ("Optional",) else found
            moved = (
                replace(found, value=topics(str(found.value))) if today[-1] == "SubscribeTopics" else found
            )
            root = _under(root, today, moved)
    return _secrets(root)


def variables(steps: Steps) -> Iterator[str]:
    """EdgeX 2's names of the variable for one of today's keys."""
    for old, today in _MOVES:
        if steps == today or (today == ("MessageBus", "Optional") and steps[:2] == today):
            yield "_".join(map(str, (*_OLD, *old, *steps[len(today) :]))).upper()


def topics(text: str) -> str:
    """EdgeX 2's topics, which are whole, as today's, which have the base topic in front."""
    return ",".join(one.strip().removeprefix(_BASE) for one in text.split(","))


def _secrets(root: Node) -> Node:
    entries = root.find("Writable", "InsecureSecrets")
    for name, entry in entries.entries.items() if entries is not None else ():
        for old, today in _SECRETS.items():
            found = entry.node.find(old)
            if found is not None and found.value is not None and entry.node.find(today) is None:
                root = _without(root, ("Writable", "InsecureSecrets", name, old))
                root = _under(root, ("Writable", "InsecureSecrets", name, today), found)
    return root


def _without(node: Node, steps: Steps) -> Node:
    entries = dict(node.entries)
    first, *rest = steps
    if first not in entries:
        return node
    if rest:
        entries[str(first)] = replace(
            entries[str(first)], node=_without(entries[str(first)].node, tuple(rest))
        )
    else:
        del entries[str(first)]
    return replace(node, value=entries)


def _under(root: Node, steps: Steps, leaf: Node) -> Node:
    """The tree with a leaf added; what stands there already counts over it."""
    added = leaf
    for step in reversed(steps):
        added = Node(place=leaf.place, value={str(step): Entry(key=leaf.place, node=added)})
    return added.merged(root)
