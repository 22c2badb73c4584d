"""A small file in the format of MBPP, made up."""

import json

_CODE = """def {name}(values):\r
    total = 0\r
    for value in values:\r
        if value > {number}:\r
            total += value\r
    return total"""


def write_problems(path, numbers):
    """Problems with these published numbers, which tell their splits."""
    rows = [
        {
            "task_id": number,
            "text": f"Write a function to add the values above {number}.",
            "code": _CODE.format(name=f"add_{number}", number=number),
            "test_list": [
                f"assert add_{number}([{number}, {number + 1}]) == {number + 1}",
                f"assert add_{number}([]) == 0",
            ],
            "test_setup_code": "",
            "challenge_test_list": [],
        }
        for number in numbers
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
