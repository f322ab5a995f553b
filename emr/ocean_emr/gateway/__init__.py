"""`ocean-gateway`: receives Ocean's webhooks and answers 200 only when what they tell is kept.

`app.py` holds the order of the checks; what each refusal says is in `answers.py`.
"""
