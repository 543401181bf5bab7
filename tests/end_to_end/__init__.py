"""From a local AWS to a local Ploy, over HTTP on both sides."""
