"""A command-line service: one image per line, as a JSON list of 64 gray values from 0 to 1; one answer per line.

python classify.py digits.safetensors < images.jsonl
"""

import json
import sys

from model import Reader


def main():
    reader = Reader(sys.argv[1])
    for line in sys.stdin:
        try:
            answer = reader.read([json.loads(line)])[0]
        except ValueError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
