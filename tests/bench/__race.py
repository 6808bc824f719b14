import sys, tempfile
from pathlib import Path
from tests.bench.contention import *
from tests.bench import fixtures
if __name__=="__main__":
    root=Path(tempfile.mkdtemp())
    with fixtures.hermetic(root):
        t=make_hub(root/"t.git",600)
        for _ in range(int(sys.argv[3])):
            for r in (Race(int(sys.argv[1])),Race(int(sys.argv[1]),1),Race(int(sys.argv[1]),int(sys.argv[2]))):
                print(r.name, run_race(r,t,root/"r",4.0), flush=True)
    shutil.rmtree(root)
