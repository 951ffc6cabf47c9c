"""What the workbook costs beside what one would use instead, as ratios from one run."""
