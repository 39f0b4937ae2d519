"""What runs the benchmarks: processes, rounds, figures, tables. Knows no competitor."""
