"""How good is the best training when trainings may be stopped early, paused and continued?"""
