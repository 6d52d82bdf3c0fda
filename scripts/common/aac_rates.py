"""The sample rates that AAC has, in Hz; its 7350 is below what anything here is made with."""

AAC_RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000)
