"""The rule engine: conditions as boxes over typed facts, evaluated three-valued, resolved without salience."""
