"""Names of the papers' sixteen descriptors and the five factors that they form (Nakagawa et al. 2018, table 1)."""

FACTORS: dict[str, tuple[str, ...]] = {
    "Risk": ("VOL60", "BETA", "SKEW"),
    "Quality": ("ROE", "ROA", "ACCRUALS", "LEVERAGE"),
    "Momentum": ("MOM12_1", "MOM1", "MOM60"),
    "Value": ("PSR", "PER", "PBR", "PCFR"),
    "Size": ("CAP", "ILLIQ"),
}

DESCRIPTORS: tuple[str, ...] = tuple(name for names in FACTORS.values() for name in names)
