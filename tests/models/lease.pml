/* Lease, intent, actuator and effect: what several engines may do in any order, with any of them asleep or dead between
 * any two steps. Exhausted by tests/unit/remediation/test_model.py.
 *
 * The database is one: a fenced write happens in one transaction that looks at the lease (store/state/lease.py).
 * The lease may run out at any moment. An engine that sleeps is one that is not scheduled; one that dies forgets.
 * The actuator keeps its journal; it may die before or after the effect, and may be asked again.
 *
 * Compiled with -DNO_FENCE writes do not look at the lease; with -DNO_REVOKE asking about an unseen intent does not
 * settle it; with -DNO_KEY and -DNO_TOKEN the actuator remembers no key and takes any number. Each of the three must fail.
 */
#ifndef ENGINES
#define ENGINES 3
#endif
#ifndef ACTIONS
#define ACTIONS 2
#endif
#ifndef LEASES
#define LEASES 4        /* how often the lease changes hands */
#endif

mtype = { NEW, INTENT, EXECUTING, VERIFYING, ABORTED, UNSEEN, BEGUN, DONE, REFUSED };

/* the database */
bool held = false;
byte token = 0;                 /* of the lease */
byte sequence = 0;              /* of intents */
byte now_on = 0;                /* the action that holds the target: one at a time */
mtype state[ACTIONS];
byte number[ACTIONS];           /* fencing token of the action's intent */
bool given_up[ACTIONS];         /* once aborted, whatever was written over it later */

/* the actuator's disk, and the target */
byte highest = 0;
mtype known[ACTIONS];
bool working = false;
byte effects[ACTIONS];
byte last = 0;                  /* number of the newest effect */

#ifdef NO_FENCE
#define FENCED true
#else
#define FENCED (held && token == mine)
#endif
#ifdef NO_KEY
#define SEEN(a) (known[a] == REFUSED)
#else
#define SEEN(a) (known[a] != UNSEEN)
#endif
#ifdef NO_TOKEN
#define TOO_LOW(n) false
#else
#define TOO_LOW(n) (n <= highest)
#endif

inline effect(a, n)
{
	atomic {
		assert(!given_up[a]);           /* never after it was given up */
		assert(n > last);               /* accepted numbers only rise */
		effects[a]++;
		assert(effects[a] == 1);        /* once for each key */
		last = n;
	}
}

inline submit(a, n)
{
	atomic {
		!working;
		if
		:: SEEN(a) || TOO_LOW(n) -> accepted = false
		:: else -> highest = n; known[a] = BEGUN; working = true; accepted = true
		fi
	}
	if
	:: accepted ->
		if
		:: effect(a, n);
			if
			:: known[a] = DONE
			:: skip                         /* died before it wrote the end down */
			fi
		:: skip                                 /* died before the effect */
		fi;
		atomic { working = false; accepted = false }
	:: else -> skip
	fi
}

proctype Engine()
{
	byte mine = 0, a = 0, n = 0;
	bool fresh = false, accepted = false, nothing = false;

end:	do
	:: atomic { !held && token < LEASES && now_on < ACTIONS -> held = true; token++; mine = token; fresh = false }

	:: mine > 0 && fresh -> atomic { mine = 0; fresh = false; a = 0; n = 0 }         /* dies */

	:: atomic { mine > 0 && now_on < ACTIONS && state[now_on] == NEW ->
		if
		:: FENCED -> a = now_on; sequence++; n = sequence; number[a] = n; state[a] = INTENT; fresh = true
		:: else -> mine = 0
		fi }

	:: mine > 0 && fresh ->                 /* it committed the intent itself, and may have slept since */
		atomic {
			if
			:: FENCED && state[a] == INTENT -> state[a] = EXECUTING
#ifdef NO_FENCE
			:: state[a] != INTENT -> state[a] = EXECUTING
#endif
			:: !(FENCED) -> mine = 0; fresh = false
#ifndef NO_FENCE
			:: FENCED && state[a] != INTENT -> fresh = false
#endif
			fi
		}
		if
		:: mine > 0 && fresh ->
			submit(a, n);
			if
			:: submit(a, n)                         /* the message came twice */
			:: skip
			fi;
			fresh = false;
			atomic {
				if
				:: FENCED && state[a] == EXECUTING && known[a] == DONE -> state[a] = VERIFYING; now_on++
				:: else -> skip
				fi
			}
		:: else -> skip
		fi

	:: atomic { mine > 0 && !fresh && now_on < ACTIONS && state[now_on] == INTENT ->
		if
		:: FENCED -> state[now_on] = ABORTED; given_up[now_on] = true; now_on++  /* nothing sent */
		:: else -> mine = 0
		fi }

	:: atomic { mine > 0 && !fresh && now_on < ACTIONS && state[now_on] == EXECUTING && !working ->
		a = now_on;                                             /* ask the actuator: what was never seen is revoked */
#ifndef NO_REVOKE
		if
		:: known[a] == UNSEEN -> known[a] = REFUSED
		:: else -> skip
		fi;
#endif
		nothing = (effects[a] == 0) }                            /* read the target */
		atomic {
			if
			:: FENCED && state[a] == EXECUTING && now_on == a ->
				state[a] = (nothing -> ABORTED : VERIFYING); given_up[a] = nothing; now_on++
			:: FENCED && !(state[a] == EXECUTING && now_on == a) -> skip
			:: !(FENCED) -> mine = 0
			fi
		}
	od
}

proctype Clock()
{
end:	do
	:: held -> held = false         /* the lease runs out, whatever its holder is doing */
	od
}

init
{
	byte i;
	atomic {
		for (i : 0 .. ACTIONS - 1) { state[i] = NEW; known[i] = UNSEEN }
		for (i : 1 .. ENGINES) { run Engine() }
		run Clock()
	}
}
