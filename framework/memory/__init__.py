"""Registers: models, blocks, transactions and the memory bus."""
