"""`python -m crm_integration_tests.certificate`: see `crm-integration certify`."""
import sys, time, json
from crm_integration_tests.certificate import crew
from crm_integration_tests.certificate.scenario import full, small
from crm_integration_tests.certificate.stand import database
from crm_integration_tests.certificate.run import run

if __name__ == "__main__":
    t=time.time()
    crew.preload()
    form={"full":full,"small":small}[sys.argv[1]](int(sys.argv[2]))
    seed=int(sys.argv[3]) if len(sys.argv)>3 else 7
    with database() as server:
        last=[0.0]
        def told(w):
            if time.time()-last[0]>5: last[0]=time.time(); print(round(time.time()-t,1),w,file=sys.stderr,flush=True)
        ran=run(server,seed,form,"cert",told)
    v=ran.verdict
    print(json.dumps({k:v for k,v in v.items() if k!="examples"}))
    for k,xs in v["examples"].items():
        for x in xs: print("  ",k,x)
    print("faults",dict(ran.counts)); print("kills",dict(ran.kills)); print("left",ran.left,"quiet",ran.quiet); print("calls",ran.crm_calls,"secs",ran.seconds,round(time.time()-t,1)); print("problems",ran.problems)
