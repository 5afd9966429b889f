"""Cases of tests/golden/bases that timm computes."""
