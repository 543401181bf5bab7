"""The embedded default: a local AWS and a local Ploy, on loopback only."""
