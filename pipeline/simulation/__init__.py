"""The price simulator: what a past period would have come to under a draft list, beside the list in force.

`model` the result · `lists` which list prices an account before and after · `classes` linear prices as the warehouse
applies them · `stream` everything else, through the rating engine · `run` both together, account by account ·
`lines` one account line by line · `sheets` CSV and XLSX. Nothing is written to any store.
"""
