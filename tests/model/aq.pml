/* The protocol of the queue: one job, some hosts, people, and a hub that takes a push only if its base
 * is the tip. What a host may do is here; how its code does it is not. See docs/reliability.md.
 *
 * A commit id never comes twice, so "my base is the tip" is all that compare-and-swap can know: one
 * flag for each view and each push, cleared whenever the tip moves. A reclaim may be asked for at any
 * moment, which covers every clock, every pause and every ttl. */

#ifndef HOSTS
#define HOSTS 2
#endif
#ifndef EPOCHS
#define EPOCHS 2        /* no host claims beyond this epoch: a bound of the search, not of the protocol */
#endif
#ifndef RETRY
#define RETRY 1         /* retry.max, and how often infrastructure and loss may give a job back */
#endif
#ifndef INFRA
#define INFRA 1
#endif
#ifndef LOST
#define LOST 1
#endif
#ifndef REWINDS
#define REWINDS 0       /* 1: the hub may go back to an earlier commit, once */
#endif
#ifndef PEOPLE
#define PEOPLE 1        /* 0: nobody ships, rejects, stops; nor does anything else move the tip */
#endif
#ifndef KILLS
#define KILLS 255       /* 255: as many as you like */
#endif

/* Mutants: one changed line each. The first word is the law that catches it, then the search that does. */
#define NO_FENCE 1          /* zombie_never_lands, calm: a result is written without a look at the lease */
#define FENCE_BY_HOST 2     /* zombie_never_lands, calm: a result needs a lease of its host, of any epoch */
#define FENCE_BY_EPOCH 3    /* zombie_never_lands, rewind: a result needs the lease's epoch, not its nonce */
#define NO_CAS 4            /* one_stage, calm: the hub takes a push whose base is not the tip */
#define REPLAYED 5          /* one_stage, calm: what lost a race is pushed again without asking again */
#define NO_NONCE 6          /* one_holder, calm: two claims on the same base are one and the same commit */
#define EQUAL_WINS 7        /* one_holder, calm: such a commit is told apart, but the answer `=` counts as a win */
#define UNKNOWN_WINS 8      /* claim_is_won, calm: a push without an answer counts as a win */
#define UNKNOWN_LOSES 9     /* lease_is_served, calm: a push without an answer counts as a loss */
#define EPOCH_KEPT 10       /* epoch_plus_one, calm: a claim keeps the epoch */
#define VERIFY_KEEPS 11     /* epoch_plus_one, calm: a verify-claim keeps the epoch */
#define REQUEUE_RESETS 12   /* epoch_plus_one, calm: a requeue sets the epoch to 0 */
#define BLIND_RECLAIM 13    /* reclaim_is_observed, calm: a reclaim takes whatever lease is there now */
#define STOP_IGNORED 14     /* stop_is_obeyed, calm: a claim does not look at PAUSED */
#define STOP_ONCE 15        /* stop_is_obeyed, calm: PAUSED is checked when a claim is asked first, not again */
#define SHIP_BUILDING 16    /* shipped_from_testing, calm: what a host still builds can be shipped */
#define REJECT_HELD 17      /* lease_iff_work, calm: work that is being verified can be rejected */
#define LEASE_LEFT 18       /* lease_iff_work, calm: a failure leaves the lease behind */
#define CHARGE_AT_LAND 19   /* bounds_hold, ending: an attempt is counted at its landing, not at its claim */
#define LOSS_IS_FREE 20     /* bounds_hold, ending: a reclaim counts nothing */
#define LANDS_AGAIN 21      /* lands_once, calm: a landing is accepted in review as well */
#define COPIED 22           /* one_stage, calm: a landing copies the job instead of moving it */
#define REWIND_TAKEN 23     /* frozen_is_silent, rewind: a host goes on after a rewind that nobody accepted */
#define NO_RECLAIM 24       /* ends, ending: nobody takes back what a dead host held */
#define NO_VERIFY_CLAIM 25  /* ends, ending: nobody verifies what a dead verifier left */
#define FAST_FORWARD 26     /* frozen_is_silent, rewind: a push need not find its base, only an ancestor */

/* Not mistakes: something that must be able to happen, or the model would say nothing about it. */
#define SEES_SHIPPED 51     /* reached, calm: the job is shipped */
#define SEES_DEAD 52        /* reached, calm: the job is in dead_letter */
#define SEES_LATE_CLAIM 53  /* reached, calm: a claim lands after its sender was killed */
#define SEES_LATE_RESULT 54 /* reached, calm: the host that ran the job finds its result refused */
#define SEES_VERIFIER 55    /* reached, calm: another host verifies a landed branch */
#define SEES_RESENT 56      /* reached, rewind: a push whose commit a rewind removed is sent again */
#define SEES_THAWED 57      /* reached, rewind: a host goes on after a rewind was accepted */

#ifdef NO_MUTANT
#define mutant 0
#define epochs EPOCHS
#else
byte mutant, epochs;
#endif

/* Laws. An assertion that fails prints its text, and with it the name. */
mtype = { one_stage, lease_iff_work, one_holder, zombie_never_lands, lands_once, epoch_plus_one,
          reclaim_is_observed, stop_is_obeyed, shipped_from_testing, bounds_hold, claim_is_won,
          lease_is_served, frozen_is_silent, reached };
#define law(name, holds) assert(name && (holds))
#define sight(which, seen) law(reached, mutant != which || !(seen))

/* Stages are bits, so that a job can be in two, or in none. */
#define INBOX 1
#define BUILDING 2
#define REVIEW 4
#define TESTING 8
#define SHIPPED 16
#define FAILED 32
#define DEAD 64

/* Operations of hosts. */
#define CLAIM 1
#define VERIFY_CLAIM 2
#define RECLAIM 3
#define LAND 4
#define LAND_NONE 5         /* land and unverified in one push: no verify was asked for */
#define VERIFIED 6
#define FAIL 7
#define FAIL_FOR_GOOD 8     /* a class that is not retried */
#define RELEASE 9
#define HOLD 10

/* How far a push is: asked again after a loss, on its way, in the history; the host knows of none. */
#define ASKED 1
#define FLYING 2
#define LANDED 3

#define RUN 1
#define VERIFY 2

typedef Queue {
    byte where = INBOX;
    byte lease;             /* the nonce; its host is owner(nonce); 0 is none */
    byte epoch;
    byte attempts, infra, lost;
    byte leases;            /* of this submission, for the law */
    byte top;               /* the highest epoch ever, for the law */
    bool paused, hold, verdict;
    bool landed             /* this epoch's work is in review, or went on from there */
};
Queue q[2];                 /* the tip, and the commit that a rewind goes back to */
#define tip q[0]
#define old q[1]
bool saved, moved, rewound, accepted;   /* such a commit was chosen; the tip is beyond it; ... */
bool branchless;            /* the job's work has no branch: a lost verifier means to run it again */

typedef Machine {
    bool fresh, at_old;     /* its view is the tip; is the commit that a rewind goes back to */
    bool beyond, lost;      /* its view is after that commit; a rewind removed what it has seen */
    byte serves, epoch, phase;      /* the lease that it serves */
    byte result, about, about_epoch;      /* its spool: a result that has to be written; survives a kill */
    byte op, nonce, for_epoch, how; /* what it pushes, and how far that is */
    bool base_tip, base_old;        /* the base of that push is the tip; is `old` */
    bool is_old, after_old, twin;   /* the pushed commit is `old`; is after it; is another host's as well */
    bool unheard, gone      /* it was built by a host that should be frozen; killed for ever */
};
Machine m[HOSTS];
#define me m[i]

/* One push whose sender was killed, or gave it up for lost: the hub may still take it. */
byte ghost, ghost_nonce, ghost_epoch;
bool ghost_tip, ghost_old, ghost_unheard, ghost_alive;
byte kills;

#define NONCES 8
#define owner(nonce) ((nonce - 1) / NONCES)
#define can_rewind (saved && !rewound)
#define holds(v, n, e) \
    (mutant == NO_FENCE || (q[v].lease == n && q[v].epoch == e) || \
     (mutant == FENCE_BY_HOST && q[v].lease && owner(q[v].lease) == owner(n)) || \
     (mutant == FENCE_BY_EPOCH && q[v].lease && q[v].epoch == e))
#define unpaused(v) (!q[v].paused || mutant == STOP_IGNORED)

/* Whether an operation would be refused on that commit: `decide` in aq/core/operations. */
#define allowed(v, o, n, e) ( \
    (o == CLAIM && q[v].where == INBOX && !q[v].hold && unpaused(v) && q[v].epoch < epochs) || \
    (o == VERIFY_CLAIM && to_verify(v) && unpaused(v) && q[v].epoch < epochs && mutant != NO_VERIFY_CLAIM) || \
    (o == RECLAIM && q[v].lease && ((q[v].lease == n && q[v].epoch == e) || mutant == BLIND_RECLAIM)) || \
    ((o == LAND || o == LAND_NONE) && holds(v, n, e) && \
        (q[v].where == BUILDING || (mutant == LANDS_AGAIN && q[v].where == REVIEW))) || \
    ((o == VERIFIED || o == HOLD) && q[v].where == REVIEW && holds(v, n, e)) || \
    ((o == FAIL || o == FAIL_FOR_GOOD || o == RELEASE) && (q[v].where & (BUILDING | REVIEW)) && holds(v, n, e)))
#define to_verify(v) \
    (q[v].where == REVIEW && !q[v].lease && !q[v].verdict && !q[v].hold && !branchless)

inline move(source, target) { tip.where = (tip.where & (127 - (source))) | (target) }

/* Every commit: no other view and no other push is at the tip any more. */
inline bump() {
    x = 0;
    do
    :: x < HOSTS -> m[x].fresh = false; m[x].base_tip = false; x++
    :: else -> break
    od;
    ghost_tip = false;
    moved = saved && !rewound;
    if
    :: ghost && !(ghost_old && can_rewind) && mutant != NO_CAS -> no_ghost()
    :: else
    fi;
    x = 0;
    sight(SEES_SHIPPED, tip.where == SHIPPED);
    sight(SEES_DEAD, tip.where == DEAD);
    law(one_stage, tip.where && !(tip.where & (tip.where - 1)));
    law(lease_iff_work, (!tip.lease || (tip.where & (BUILDING | REVIEW))) && (tip.lease || tip.where != BUILDING));
    law(lease_iff_work, !tip.lease || !(tip.verdict || tip.hold));
    law(bounds_hold, tip.leases <= RETRY + 1 + INFRA + LOST)
}

inline no_ghost() {
    ghost = 0; ghost_nonce = 0; ghost_epoch = 0; ghost_tip = false; ghost_old = false; ghost_unheard = false;
    ghost_alive = false
}

inline take(whose, nth) {
    law(stop_is_obeyed, !tip.paused);
    law(epoch_plus_one, nth == tip.top + 1);
    tip.lease = whose; tip.epoch = nth; tip.top = nth; tip.leases++; tip.landed = tip.landed && tip.where == REVIEW
}

inline give_back(count, bound) {
    if
    :: tip.where == REVIEW && !branchless -> if :: count > bound -> move(REVIEW, DEAD) :: else fi
    :: else ->
        if :: tip.attempts -> tip.attempts-- :: else fi;
        if
        :: count > bound -> move(BUILDING | REVIEW, DEAD)
        :: else -> move(BUILDING | REVIEW, INBOX)
        fi
    fi;
    tip.lease = 0
}

/* One commit of a host becomes the tip. The laws look at what is there, not at what the host thought. */
inline apply(what, whose, nth, unheard_of) {
    law(frozen_is_silent, !unheard_of);
    if
    :: what >= LAND -> law(zombie_never_lands, tip.lease == whose && tip.epoch == nth)
    :: else
    fi;
    if
    :: what == CLAIM ->
        take(whose, nth);
        move(INBOX, BUILDING);
        tip.landed = false; tip.verdict = false; tip.hold = false;
        if :: mutant != CHARGE_AT_LAND -> tip.attempts++ :: else fi
    :: what == VERIFY_CLAIM -> sight(SEES_VERIFIER, true); take(whose, nth)
    :: what == RECLAIM ->
        law(reclaim_is_observed, tip.lease == whose && tip.epoch == nth);
        if :: mutant != LOSS_IS_FREE -> tip.lost++ :: else fi;
        give_back(tip.lost, LOST)
    :: what == LAND || what == LAND_NONE ->
        law(lands_once, !tip.landed);
        move((mutant == COPIED -> 0 : BUILDING), REVIEW);
        tip.landed = true;
        if :: mutant == CHARGE_AT_LAND -> tip.attempts++ :: else fi;
        if :: what == LAND_NONE -> tip.verdict = true; tip.lease = 0 :: else fi
    :: what == VERIFIED -> move(REVIEW, TESTING); tip.verdict = true; tip.lease = 0
    :: what == FAIL || what == FAIL_FOR_GOOD ->
        if
        :: what == FAIL_FOR_GOOD -> move(BUILDING | REVIEW, FAILED)
        :: what == FAIL && tip.attempts > RETRY -> move(BUILDING | REVIEW, DEAD)
        :: else -> move(BUILDING | REVIEW, INBOX)
        fi;
        if :: mutant != LEASE_LEFT -> tip.lease = 0 :: else fi
    :: what == RELEASE -> tip.infra++; give_back(tip.infra, INFRA)
    :: what == HOLD -> tip.hold = true; tip.lease = 0
    fi
}

inline forget_push() {
    me.op = 0; me.nonce = 0; me.for_epoch = 0; me.how = 0; me.base_tip = false; me.base_old = false;
    me.is_old = false; me.after_old = false; me.twin = false; me.unheard = false
}

inline forget_lease() { me.serves = 0; me.epoch = 0; me.phase = 0 }

inline forget_result() { me.result = 0; me.about = 0; me.about_epoch = 0 }

/* The push may outlive its sender, if it can still become the tip. */
inline leave_ghost(alive) {
    if
    :: !ghost && me.how == FLYING && (me.base_tip || (me.base_old && can_rewind) || mutant == NO_CAS) ->
        ghost = me.op; ghost_nonce = me.nonce; ghost_epoch = me.for_epoch;
        ghost_tip = me.base_tip; ghost_old = me.base_old; ghost_unheard = me.unheard;
        ghost_alive = alive
    :: else
    fi
}

/* The operation is built on this host's view, which is the tip (v = 0) or `old` (v = 1), and sent. */
inline send(v) {
    me.how = FLYING; me.base_tip = me.fresh; me.base_old = me.at_old; me.unheard = me.lost && !accepted;
    if
    :: me.op == CLAIM -> me.for_epoch = q[v].epoch + (mutant != EPOCH_KEPT)
    :: me.op == VERIFY_CLAIM -> me.for_epoch = q[v].epoch + (mutant != VERIFY_KEEPS)
    :: else
    fi
}

/* A nonce that is nowhere else: random in the code, the lowest free one here. */
inline draw() {
    x = i * NONCES + 1;
    do
    :: x == tip.lease || x == old.lease || x == me.serves || x == me.about || x == ghost_nonce -> x++
    :: else -> break
    od;
    me.nonce = x; x = 0
}

/* The host learns that its push is in the history. */
inline won() {
    if
    :: me.op == CLAIM || me.op == VERIFY_CLAIM ->
        law(claim_is_won, me.how == LANDED);
        me.serves = me.nonce; me.epoch = me.for_epoch; me.phase = (me.op == CLAIM -> RUN : VERIFY);
        x = 0;
        do
        :: x < HOSTS -> law(one_holder, x == i || m[x].serves != me.serves || m[x].epoch != me.epoch); x++
        :: else -> break
        od;
        x = 0
    :: me.op == RECLAIM
    :: else ->
        if
        :: me.serves == me.nonce && me.op == LAND -> me.phase = VERIFY
        :: me.serves == me.nonce && me.op != LAND -> forget_lease()
        :: else
        fi;
        forget_result()
    fi;
    forget_push()
}

/* The operation does not apply any more. A result comes too late, or was written by a former life. */
inline refused() {
    sight(SEES_LATE_RESULT, me.op == LAND && me.serves == me.nonce);
    if
    :: me.op >= LAND ->
        if :: me.serves == me.nonce -> forget_lease() :: else fi;
        forget_result()
    :: else
    fi;
    forget_push()
}

inline look() {
    me.fresh = true; me.at_old = can_rewind && !moved; me.beyond = moved;
    sight(SEES_THAWED, accepted && me.lost);
    if :: accepted -> me.lost = false :: else fi;
    if
    :: me.how == LANDED && !(rewound && me.after_old) -> won()
    :: me.how == LANDED && rewound && me.after_old && me.base_tip ->
        sight(SEES_RESENT, true);
        me.how = FLYING; me.after_old = false
    :: (me.how == LANDED && rewound && me.after_old && !me.base_tip) || (me.how == FLYING && !me.base_tip && !me.twin) ->
        leave_ghost(true);
        me.how = ASKED; me.base_old = false; me.is_old = false; me.after_old = false; me.unheard = false
    :: me.twin && mutant == NO_NONCE -> me.how = LANDED; won()
    :: me.twin && mutant != NO_NONCE -> me.how = ASKED; me.twin = false
    :: else
    fi;
    if
    :: me.serves && me.about != me.serves && !(me.serves == tip.lease && me.epoch == tip.epoch) -> forget_lease()
    :: else
    fi
}

#define gone_again (me.how == LANDED && rewound && me.after_old)
#define may_look ((!me.fresh || gone_again) && (!me.lost || accepted || mutant == REWIND_TAKEN))
#define sees (me.fresh || me.at_old || (mutant == FAST_FORWARD && me.lost))
#define view (me.fresh -> 0 : 1)
#define idle (!me.op && sees)
#define unserved(v) (q[v].lease && q[v].lease != me.serves && q[v].lease != me.about)

proctype Host(byte i) {
    byte x;
end:
    do
    :: d_step { !me.gone && may_look -> look() }
    :: d_step { !me.gone && me.how == LANDED ->                            /* the answer `ok` arrives */
        me.fresh = me.base_tip && !(rewound && me.after_old);
        me.at_old = me.is_old && can_rewind; me.beyond = me.after_old && !rewound;
        me.lost = me.lost || (rewound && me.after_old && !accepted);
        won() }
    :: d_step { !me.gone && me.twin && mutant == EQUAL_WINS -> me.how = LANDED; won() }
    :: d_step { !me.gone && me.how == FLYING && me.op <= VERIFY_CLAIM && mutant == UNKNOWN_WINS -> won() }
    :: d_step { !me.gone && me.how == FLYING && me.op <= VERIFY_CLAIM && mutant == UNKNOWN_LOSES ->
        leave_ghost(true); forget_push() }

    /* decide, on a view that may be old */
    :: d_step { !me.gone && idle && allowed(view, CLAIM, 0, 0) -> draw(); me.op = CLAIM; send(view) }
    :: d_step { !me.gone && idle && allowed(view, VERIFY_CLAIM, 0, 0) -> draw(); me.op = VERIFY_CLAIM; send(view) }
    :: d_step { !me.gone && idle && unserved(view) && mutant != NO_RECLAIM ->
        me.op = RECLAIM; me.nonce = q[view].lease; me.for_epoch = q[view].epoch; send(view) }
    :: d_step { !me.gone && idle && unserved(view) && !me.result && owner(q[view].lease) == i && mutant != NO_RECLAIM ->
        me.result = RELEASE; me.about = q[view].lease; me.about_epoch = q[view].epoch }
    :: d_step { !me.gone && idle && me.result ->
        me.op = me.result; me.nonce = me.about; me.for_epoch = me.about_epoch;
        if :: allowed(view, me.op, me.nonce, me.for_epoch) -> send(view) :: else -> refused() fi }
    :: d_step { !me.gone && me.how == ASKED && sees ->
        if
        :: allowed(view, me.op, me.nonce, me.for_epoch) || mutant == REPLAYED ||
           (mutant == STOP_ONCE && me.op == CLAIM && q[view].where == INBOX && q[view].epoch < epochs) -> send(view)
        :: else -> refused()
        fi }

    /* the work, which needs no view */
    :: d_step { !me.gone && me.phase == RUN && !me.result -> me.result = LAND; me.about = me.serves; me.about_epoch = me.epoch }
    :: d_step { !me.gone && me.phase == RUN && !me.result -> me.result = LAND_NONE; me.about = me.serves; me.about_epoch = me.epoch }
    :: d_step { !me.gone && me.phase == VERIFY && !me.result -> me.result = VERIFIED; me.about = me.serves; me.about_epoch = me.epoch }
    :: d_step { !me.gone && me.phase == VERIFY && !me.result -> me.result = HOLD; me.about = me.serves; me.about_epoch = me.epoch }
    :: d_step { !me.gone && me.phase && !me.result -> me.result = FAIL; me.about = me.serves; me.about_epoch = me.epoch }
    :: d_step { !me.gone && me.phase && !me.result -> me.result = FAIL_FOR_GOOD; me.about = me.serves; me.about_epoch = me.epoch }
    :: d_step { !me.gone && me.phase && !me.result -> me.result = RELEASE; me.about = me.serves; me.about_epoch = me.epoch }

    /* the hub takes the push, whether or not its sender still waits; a push that it never takes is lost */
    :: d_step { me.how == FLYING && (me.base_tip || mutant == NO_CAS || (mutant == FAST_FORWARD && me.unheard)) && !me.twin ->
        apply(me.op, me.nonce, me.for_epoch, me.unheard);
        if
        :: (mutant == NO_NONCE || mutant == EQUAL_WINS) && me.op == CLAIM ->
            x = 0;
            do
            :: x < HOSTS && x != i && m[x].how == FLYING && m[x].op == CLAIM && m[x].base_tip ->
                m[x].twin = true; m[x].nonce = me.nonce; x++
            :: x < HOSTS && !(x != i && m[x].how == FLYING && m[x].op == CLAIM && m[x].base_tip) -> x++
            :: x >= HOSTS -> break
            od
        :: else
        fi;
        bump();
        me.how = LANDED; me.base_tip = true; me.is_old = false; me.after_old = moved; me.unheard = false }

    /* kill -9: gone is what was not on disk */
    :: d_step { !me.gone && (me.phase || me.op) && kills < KILLS ->
        leave_ghost(false); forget_push(); forget_lease();
        if :: KILLS < 255 -> kills++ :: else fi }
#if KILLS < 255
    :: d_step { !me.gone && (me.phase || me.op) && kills < KILLS && i ->
        leave_ghost(false); forget_push(); forget_lease(); forget_result();
        kills++; me.gone = true; me.fresh = false; me.at_old = false }
#endif
    od
}

inline resubmit() {
    tip.attempts = 0; tip.infra = 0; tip.lost = 0; tip.leases = 0;
    tip.verdict = false; tip.hold = false; tip.landed = false;
    if :: mutant == REQUEUE_RESETS -> tip.epoch = 0 :: else fi
}

inline keep() {
    old.where = tip.where; old.lease = tip.lease; old.epoch = tip.epoch; old.top = tip.top;
    old.attempts = tip.attempts; old.infra = tip.infra; old.lost = tip.lost; old.leases = tip.leases;
    old.paused = tip.paused; old.hold = tip.hold; old.verdict = tip.verdict; old.landed = tip.landed
}

inline go_back() {
    tip.where = old.where; tip.lease = old.lease; tip.epoch = old.epoch; tip.top = old.top;
    tip.attempts = old.attempts; tip.infra = old.infra; tip.lost = old.lost; tip.leases = old.leases;
    tip.paused = old.paused; tip.hold = old.hold; tip.verdict = old.verdict; tip.landed = old.landed;
    old.where = INBOX; old.lease = 0; old.epoch = 0; old.top = 0;
    old.attempts = 0; old.infra = 0; old.lost = 0; old.leases = 0;
    old.paused = false; old.hold = false; old.verdict = false; old.landed = false
}

/* People work on the tip: their pushes are the same compare-and-swap, and they look at the answer. */
proctype World() {
    byte x;
end:
    do
    :: d_step { ghost && (ghost_tip || mutant == NO_CAS) ->
        sight(SEES_LATE_CLAIM, ghost == CLAIM);
        law(lease_is_served, !ghost_alive || rewound || ghost > VERIFY_CLAIM);
        apply(ghost, ghost_nonce, ghost_epoch, ghost_unheard);
        no_ghost();
        bump() }
#if PEOPLE
    :: d_step { (tip.where == TESTING || (mutant == SHIP_BUILDING && tip.where == BUILDING)) ->
        law(shipped_from_testing, tip.where == TESTING);
        move(tip.where, SHIPPED); tip.hold = false; bump() }
    :: d_step { tip.where == REVIEW && !tip.lease -> move(REVIEW, TESTING); tip.hold = false; bump() }
    :: d_step { (tip.where == REVIEW || tip.where == TESTING) && (!tip.lease || mutant == REJECT_HELD) ->
        move(tip.where, FAILED); tip.hold = false; bump() }
    :: d_step { (tip.where == REVIEW || tip.where == TESTING) && !tip.lease ->
        move(tip.where, INBOX); resubmit(); bump() }
    :: d_step { tip.where == FAILED || tip.where == DEAD -> move(tip.where, INBOX); resubmit(); bump() }
    :: d_step { tip.where & (INBOX | BUILDING | REVIEW | TESTING) ->
        move(tip.where, FAILED); tip.lease = 0; tip.hold = false; bump() }
    :: d_step { tip.hold -> tip.hold = false; tip.leases--; bump() }        /* verified once more */
    :: d_step { true -> tip.paused = !tip.paused; bump() }
    :: d_step { true -> bump() }            /* another job's commit, or one that only writes a record */
#endif
#if REWINDS
    :: d_step { !saved ->
        keep(); saved = true; x = 0;
        do
        :: x < HOSTS ->
            m[x].at_old = m[x].fresh;
            m[x].base_old = m[x].how == FLYING && m[x].base_tip;
            m[x].is_old = m[x].how == LANDED && m[x].base_tip;
            x++
        :: else -> break
        od;
        ghost_old = ghost_tip; x = 0 }
    :: d_step { can_rewind && moved ->
        go_back(); rewound = true; moved = false; x = 0;
        do
        :: x < HOSTS ->
            m[x].lost = m[x].beyond; m[x].fresh = m[x].at_old; m[x].at_old = false; m[x].beyond = false;
            m[x].base_tip = m[x].base_old && (m[x].how == FLYING || m[x].after_old);
            m[x].base_tip = m[x].base_tip || m[x].is_old;
            m[x].base_old = false; m[x].is_old = false; x++
        :: else -> break
        od;
        ghost_tip = ghost_old; ghost_old = false;
        if :: ghost && !ghost_tip && mutant != NO_CAS -> no_ghost() :: else fi;
        x = 0 }
    :: d_step { rewound && !accepted -> accepted = true; bump() }
#endif
    od
}

init {
    byte x;
    atomic {
#ifndef NO_MUTANT
        c_code {
            now.mutant = getenv("AQ_MUTANT") ? atoi(getenv("AQ_MUTANT")) : 0;
            now.epochs = getenv("AQ_EPOCHS") ? atoi(getenv("AQ_EPOCHS")) : EPOCHS;
        };
#endif
        if :: branchless = false :: branchless = true fi;
        do
        :: x < HOSTS -> run Host(x); x++
        :: else -> break
        od;
        x = 0;
        run World()
    }
}

#define over ((tip.where & (TESTING | SHIPPED | FAILED | DEAD)) || \
              (tip.where == REVIEW && !tip.lease && (tip.verdict || tip.hold)))
#ifdef ENDING
ltl ends { <> over }
#endif
