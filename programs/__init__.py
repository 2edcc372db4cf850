"""Published packages, run unchanged under mini_dl and torch from one seed, and compared.

    tox run -e programs                          # what CI runs
    tox run -e programs -- --all                 # everything
    tox run -e programs -- timm --match '*vit*'  # some of it

`packages.txt` pins the packages; they are installed without their dependencies. Each module of `cases` has the cases of one
package; `worker` runs them under the library that `import torch` finds; `comparing` starts it twice and compares.
"""
