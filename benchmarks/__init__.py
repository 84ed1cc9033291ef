"""Measurements that anyone can repeat: `make bench`. Figures are ratios of one run."""
