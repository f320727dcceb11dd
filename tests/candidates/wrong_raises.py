# expect: IndexError in line 2
def backprop(params, x, y):
    return params[7]
