"""``python -m mini_dl.distributed.launch``: the older name of `mini_dl.distributed.run`."""

from mini_dl.distributed.run import get_args_parser as get_args_parser, main, parse_args as parse_args, run as run

launch = main

if __name__ == "__main__":
    main()
