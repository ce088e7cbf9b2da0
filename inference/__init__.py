"""What is learnt: fits, comparisons, evolution and evolvability."""
