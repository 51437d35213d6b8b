"""What is said: questions and answers about pictures, facts, comparisons, numbers, small talk and stories.

Every kind of question is a row of patterns: those that are trained on, those that are held out, and the answer.
Places in patterns: {x} {y} concepts with article, {X} the same with a capital, {xn} {yn} names alone, {xs} plural,
{g} {h} groups as said of a thing ("an animal"), {gs} plural of a group, {c} a colour, {cw} "color" or "colour",
{can} "a cat can walk", {p} {q} {n} numbers, {bg} a background, {w} a place in words ("on the left").
"""
import numpy as np

import world as W
from world import BY, CONCEPTS, GROUPS, INDEX, NAMES, NC, a, cap

# ---------------------------------------------------------------- facts
FACTS = {
    "isa": dict(train=["What is {x}?", "What kind of thing is {x}?", "What sort of thing is {x}?", "Tell me what {x} is.", "Do you know what {x} is?", "Explain what {x} is.", "{x}: what is it?", "So what is {x}?", "Can you say what {x} is?", "I want to know: what is {x}?"],
                held_out=["Can you tell me what {x} is?", "Say what kind of thing {x} is.", "I want to know what {x} is."],
                answer="{X} is {g}."),
    "colour": dict(train=["What {cw} is {x}?", "What is the {cw} of {x}?", "Which {cw} is {x}?", "Tell me the {cw} of {x}.", "Do you know the {cw} of {x}?", "Which {cw} does {x} have?", "{x}: which {cw} is it?", "Say what {cw} {x} is.", "Can you say what {cw} {x} is?", "I want to know the {cw} of {x}."],
                   held_out=["What {cw} does {x} have?", "Can you tell me the {cw} of {x}?", "I want to know what {cw} {x} is."],
                   answer="{X} is {c}."),
    "about": dict(train=["Tell me about {x}.", "What do you know about {x}?", "Say something about {x}.", "Tell me something about {x}.", "Talk about {x}.", "Do you know something about {x}?", "Tell me more about {x}.", "Can you say something about {x}?", "I want to hear about {x}.", "So what about {x}?"],
                  held_out=["Can you tell me about {x}?", "I want to know about {x}.", "So tell me about {x}."],
                  answer="{X} is {g}. {sentence}"),
    "can": dict(train=["What can {x} do?", "What can you say {x} can do?", "Tell me what {x} can do.", "What is {x} good for?", "Do you know what {x} can do?", "So what can {x} do?", "Can you say what {x} can do?", "I want to know: what can {x} do?"],
                held_out=["Can you tell me what {x} can do?", "I want to know what {x} can do.", "Say what {x} can do."],
                answer="{Can}."),
    "why": dict(train=["Why can {can_tail}?", "Tell me why {can}.", "Why is it that {can}?", "Do you know why {can}?", "Explain why {can}.", "Can you say why {can}?", "I want to know: why is it that {can}?"],
                held_out=["Can you tell me why {can}?", "I want to know why {can}.", "Say why {can}."],
                answer="{Can} because {reason}."),
    "isa_yn": dict(train=["Is {x} {h}?", "Is it true that {x} is {h}?", "Do you think {x} is {h}?", "{x} is {h}, right?", "Tell me, is {x} {h}?", "Would you say {x} is {h}?"],
                   held_out=["Would you say that {x} is {h}?", "So is {x} {h}?", "Do you think that {x} is {h}?"],
                   yes="Yes, {x} is {g}.", no="No, {x} is {g}."),
    "colour_yn": dict(train=["Is {x} {d}?", "Is it true that {x} is {d}?", "Do you think {x} is {d}?", "{x} is {d}, right?", "Tell me, is {x} {d}?", "Would you say {x} is {d}?"],
                      held_out=["Would you say that {x} is {d}?", "So is {x} {d}?", "Do you think that {x} is {d}?"],
                      yes="Yes, {x} is {c}.", no="No, {x} is {c}."),
    "can_yn": dict(train=["Can {other_tail}?", "Is it true that {other}?", "Do you think {other}?", "{other}, right?", "Tell me, can {other_tail}?", "Would you say {other}?"],
                   held_out=["Would you say that {other}?", "So can {other_tail}?", "Do you think that {other}?"],
                   yes="Yes, {can}.", no="No, {can}."),
    "bigger": dict(train=["Which is bigger, {x} or {y}?", "What is bigger, {x} or {y}?", "Is {x} or {y} bigger?", "Tell me which is bigger, {x} or {y}.", "{x} or {y}: which is bigger?", "Which thing is bigger, {x} or {y}?", "Do you know what is bigger, {x} or {y}?"],
                   held_out=["Which one is bigger, {x} or {y}?", "Do you know which is bigger, {x} or {y}?"],
                   answer="{Big} is bigger than {small}."),
    "smaller": dict(train=["Which is smaller, {x} or {y}?", "What is smaller, {x} or {y}?", "Is {x} or {y} smaller?", "Tell me which is smaller, {x} or {y}.", "{x} or {y}: which is smaller?", "Which thing is smaller, {x} or {y}?", "Do you know what is smaller, {x} or {y}?"],
                    held_out=["Which one is smaller, {x} or {y}?", "Do you know which is smaller, {x} or {y}?"],
                    answer="{Small} is smaller than {big}."),
    "bigger_yn": dict(train=["Is {x} bigger than {y}?", "Is it true that {x} is bigger than {y}?", "Do you think {x} is bigger than {y}?"],
                      held_out=["Would you say that {x} is bigger than {y}?", "So is {x} bigger than {y}?"],
                      yes="Yes, {big} is bigger than {small}.", no="No, {big} is bigger than {small}."),
    "choose": dict(train=["Which is {h}, {x} or {y}?", "What is {h}, {x} or {y}?", "Is {x} or {y} {h}?", "Tell me which is {h}, {x} or {y}.", "{x} or {y}: which is {h}?"],
                   held_out=["Which one is {h}, {x} or {y}?", "Do you know which is {h}, {x} or {y}?"],
                   answer="{Z} is {h}."),
    "sentence": dict(train=["Write a sentence with {xn}.", "Write a sentence about {x}.", "Make a sentence with {xn}.", "Write one sentence with {xn}.", "Use {xn} in a sentence.", "Give me a sentence with {xn}.", "Can you make a sentence with {xn}?", "Write me a sentence about {x}."],
                     held_out=["Write me a sentence with {xn}.", "Can you write a sentence with {xn}?", "Make a sentence about {x}."],
                     answer="The {xn} {said}"),
}
FACT_WEIGHTS = dict(isa=.08, colour=.09, about=.16, can=.07, why=.07, isa_yn=.10, colour_yn=.10, can_yn=.09, bigger=.06, smaller=.04, bigger_yn=.04, choose=.03, sentence=.09)
YES_NO = ("isa_yn", "colour_yn", "can_yn", "bigger_yn")

# why somebody can do a thing; the group is looked up first, then "any"
REASONS = {
    "walk": {"any": "it has legs"}, "jump": {"any": "it has strong legs"}, "swim": {"any": "it is at home in water"},
    "fly": {"animal": "it has wings", "vehicle": "it has engines"}, "grow": {"any": "it gets sun and rain"},
    "shine": {"any": "it is full of light"}, "float": {"any": "it is light", "vehicle": "it is built for water"}, "roll": {"any": "it is round"},
    "talk": {"any": "it has a voice"}, "beat": {"any": "it is full of life"}, "ring": {"any": "it is made of metal"},
    "eat": {"any": "it tastes good"}, "drive": {"any": "it has wheels and an engine"}, "play": {"any": "it makes sounds"}, "read": {"any": "it has pages"},
    "turn": {"any": "it fits in a lock"}, "open": {"any": "it can be folded"}, "wear": {"any": "it fits on a head"}, "ride": {"any": "it has a seat and wheels"}, "enter": {"any": "it has a door"},
}
# abilities that a concept surely lacks, for questions that are answered with no
_FLYERS = {"duck", "owl", "bee", "butterfly", "rocket", "plane", "balloon", "ghost"}
_LACKS = {"fly": lambda c: c["name"] not in _FLYERS and c["group"] != "sky", "swim": lambda c: c["group"] in ("food", "plant", "sky", "thing"),
          "talk": lambda c: c["group"] in ("food", "plant", "vehicle", "sky"), "shine": lambda c: c["group"] in ("animal", "food", "plant"),
          "walk": lambda c: c["group"] in ("food", "plant", "vehicle", "sky"), "drive": lambda c: c["group"] in ("food", "plant", "sky", "thing", "animal"),
          "eat": lambda c: c["group"] in ("vehicle", "sky", "thing"), "read": lambda c: c["name"] != "book", "play": lambda c: c["group"] in ("food", "plant", "vehicle", "sky"),
          "wear": lambda c: c["group"] in ("food", "vehicle", "sky", "plant"), "ring": lambda c: c["group"] in ("animal", "food", "plant", "sky")}
LACKS = {n: [v for v in _LACKS if v != BY[n]["can"] and _LACKS[v](BY[n])] for n in NAMES}


def ability(name, verb, tail=False):
    """"a cat can walk", "you can eat an apple"; tail: the same behind "can" ("a cat walk", "you eat an apple")."""
    mid = "" if tail else " can"
    return f"{a(name)}{mid} {verb}" if verb in W.ITS else f"you{mid} {verb} {a(name)}"


def reason(c):
    r = REASONS[c["can"]]
    return r.get(c["group"], r.get("any", ""))


def said(c):
    """The concept's sentence without its "It"."""
    return c["sentence"][3:]


def comparable(x, y):
    return abs(BY[x]["size"] - BY[y]["size"]) >= 2


def phrasing(r, row, held=False, first=0.3):
    """A trained phrasing, the first one more often; or a held-out one."""
    ps = row["held_out" if held else "train"]
    if not held and r.random() < first:
        return ps[0]
    return ps[r.integers(len(ps))]


def pick(r, weights):
    p = np.array(list(weights.values()), float)
    return list(weights)[r.choice(len(p), p=p / p.sum())]


def fact(r, kind=None, held=False, x=None):
    """(question, answer, kind, think). held: a held-out phrasing. Comparisons keep held-out pairs out of training."""
    kind = kind or pick(r, FACT_WEIGHTS)
    row = FACTS[kind]
    c = BY[x] if x else CONCEPTS[r.integers(NC)]
    n = c["name"]
    kw = dict(x=a(n), X=cap(a(n)), xn=n, xs=c["plural"], g=GROUPS[c["group"]], c=c["colour"], cw=("color", "colour")[r.integers(2)], sentence=c["sentence"],
              can=ability(n, c["can"]), can_tail=ability(n, c["can"], True), reason=reason(c), said=said(c))
    kw["Can"] = cap(kw["can"])
    think = f"{n}: {c['group']}, {c['colour']}, {c['can']}."
    yes = None
    if kind in YES_NO:
        yes = r.random() < 0.5
    if kind == "isa_yn":
        h = c["group"] if yes else [g for g in GROUPS if g != c["group"]][r.integers(5)]
        kw["h"] = GROUPS[h]
    elif kind == "colour_yn":
        kw["d"] = c["colour"] if yes else [k for k in W.COLOURS if k != c["colour"]][r.integers(len(W.COLOURS) - 1)]
    elif kind == "can_yn":
        v = c["can"] if yes else LACKS[n][r.integers(len(LACKS[n]))]
        kw.update(other=ability(n, v), other_tail=ability(n, v, True))
    elif kind in ("bigger", "smaller", "bigger_yn"):
        while True:
            m = NAMES[r.integers(NC)]
            if m != n and comparable(n, m) and W.held_out_pair(n, m) == bool(held == "pairs") and (yes is None or (c["size"] > BY[m]["size"]) == yes):
                break
            if yes is not None or held == "pairs":     # the largest has nothing above it: draw both again
                c = CONCEPTS[r.integers(NC)]; n = c["name"]
        big, small = (n, m) if c["size"] > BY[m]["size"] else (m, n)
        kw.update(x=a(n), y=a(m), big=a(big), small=a(small), Big=cap(a(big)), Small=cap(a(small)))
        think = f"{big} {BY[big]['size']}, {small} {BY[small]['size']}."
    elif kind == "choose":
        m = n
        while BY[m]["group"] == c["group"]:
            m = NAMES[r.integers(NC)]
        kw.update(h=kw["g"], Z=kw["X"])
        if r.random() < 0.5:
            kw.update(x=a(m), y=a(n))
        else:
            kw.update(y=a(m))
        think = f"{n}: {c['group']}, {m}: {BY[m]['group']}."
    q = phrasing(r, row, held is True).format(**kw)
    ans = (row["answer"] if yes is None else row["yes" if yes else "no"]).format(**kw)
    return cap(q), ans, kind, think


# ---------------------------------------------------------------- questions about pictures
PICTURE = {
    "what": dict(train=["What is this?", "What is in the picture?", "What do you see?", "What can you see?", "What is it?", "Name what you see."],
                 held_out=["What is in this picture?", "Tell me what you see.", "What can be seen?"], answer="{Scene}."),
    "describe": dict(train=["Describe the picture.", "Describe this.", "Describe what you see.", "Describe it.", "What does the picture show?", "Describe this picture.", "Can you describe this?", "Tell me what this picture shows."],
                     held_out=["Can you describe the picture?", "Describe the picture to me.", "What does this picture show?"], answer="{Scene} on a {bg} background."),
    "background": dict(train=["What {cw} is the background?", "Which {cw} is the background?", "What is the {cw} of the background?", "Tell me the {cw} of the background."],
                       held_out=["Which {cw} does the background have?", "Say what {cw} the background is."], answer="The background is {bg}."),
    "background_yn": dict(train=["Is the background {d}?", "Is it true that the background is {d}?"], held_out=["Do you think the background is {d}?"],
                          yes="Yes, the background is {bg}.", no="No, the background is {bg}."),
    "count": dict(train=["How many stickers are there?", "How many things are there?", "How many stickers do you see?", "How many things can you see?", "Count the stickers."],
                  held_out=["How many things do you see?", "How many stickers can you see?", "Count the things."], answer="There {is_are} {number}."),
    "count_of": dict(train=["How many {xs} are there?", "How many {xs} do you see?", "How many {xs} can you see?", "Count the {xs}."],
                     held_out=["How many {xs} are in the picture?", "Tell me how many {xs} there are."], answer="There {is_are} {number} {noun}."),
    "isthere": dict(train=["Is there {x}?", "Is there {x} in the picture?", "Do you see {x}?", "Can you see {x}?", "Is this {x}?"],
                    held_out=["Is {x} in the picture?", "Do you see {x} in the picture?"], yes="Yes, I see {scene}.", no="No, I see {scene}."),
    "where": dict(train=["What is {w}?", "What do you see {w}?", "What can you see {w}?", "Which sticker is {w}?"],
                  held_out=["Tell me what is {w}.", "What thing is {w}?"], answer="{X}."),
    "place": dict(train=["Where is the {xn}?", "Where do you see the {xn}?", "Where can you see the {xn}?"],
                  held_out=["Tell me where the {xn} is.", "Where is {x}?"], answer="The {xn} is {w}."),
    "beside": dict(train=["What is beside the {xn}?", "What do you see beside the {xn}?", "What is next to the {xn}?"], held_out=["What can you see next to the {xn}?"], answer="{Y}."),
    "above": dict(train=["What is above the {xn}?", "What do you see above the {xn}?"], held_out=["What can you see above the {xn}?"], answer="{Y}."),
    "below": dict(train=["What is below the {xn}?", "What do you see below the {xn}?"], held_out=["What can you see below the {xn}?"], answer="{Y}."),
}
PICTURE_WEIGHTS = dict(what=.24, describe=.24, background=.05, background_yn=.05, count=.07, count_of=.08, isthere=.14, where=.16, place=.08, beside=.04, above=.03, below=.03)


def picture_kinds(s):
    k = ["describe", "background", "background_yn", "count", "count_of", "isthere"]
    if s.layout != "none":
        k.append("what")
    if s.places():
        k += ["where", "place"]
    if s.layout == "beside":
        k.append("beside")
    if s.layout == "above":
        k += ["above", "below"]
    return k


def scene_text(s, place=True):
    return s.phrase(place)


def ask_picture(r, s, kind=None, held=False):
    """(question, answer, kind) about a scene. Whole numbers of one kind: "three cats"; two kinds: "a cat and a dog"."""
    if kind is None:
        ks = picture_kinds(s)
        p = np.array([PICTURE_WEIGHTS[k] for k in ks])
        kind = ks[r.choice(len(ks), p=p / p.sum())]
    row = PICTURE[kind]
    kw = dict(bg=s.bg, cw=("color", "colour")[r.integers(2)])
    scene = s.phrase(place=kind == "describe")
    kw.update(scene=scene, Scene=cap(scene))
    yes = r.random() < 0.5
    if kind == "background_yn":
        kw["d"] = s.bg if yes else [b for b in W.BG_NAMES if b != s.bg][r.integers(7)]
    elif kind == "count":
        kw.update(is_are="is" if s.count == 1 else "are", number=W.NUMBERS[s.count] if s.count else "none")
    elif kind in ("count_of", "isthere"):
        x = NAMES[r.integers(NC)]
        while x in s.names:
            x = NAMES[r.integers(NC)]
        there = (yes or (kind == "count_of" and r.random() < 0.6)) and s.names
        if there:
            x = s.names[r.integers(len(s.names))]
        yes = bool(there)
        k = sum(n == x for n, _ in s.stickers())
        kw.update(x=a(x), xn=x, xs=BY[x]["plural"], is_are="is" if k == 1 else "are", number=W.NUMBERS[k], noun=x if k == 1 else BY[x]["plural"])
    elif kind in ("where", "place"):
        pl = s.places()
        if kind == "place" and s.layout == "two":
            return ask_picture(r, s, "where", held)
        w, x = pl[r.integers(len(pl))]
        kw.update(w=W.WHERE[w], x=a(x), X=cap(a(x)), xn=x)
    elif kind in ("beside", "above", "below"):
        x, y = s.names
        if kind == "above" or (kind == "beside" and r.random() < 0.5):
            x, y = y, x
        kw.update(x=a(x), xn=x, Y=cap(a(y)))
    q = phrasing(r, row, held, 0.4).format(**kw)
    ans = row["answer"] if "answer" in row else row["yes" if yes else "no"]
    return q, W.fill_in(ans, **kw), kind


def think_picture(s):
    """Think steps for a picture question: the stickers one by one, then the background."""
    return "I see " + (", ".join(n for n, _ in s.stickers()) or "nothing") + " on " + s.bg + "."


# ---------------------------------------------------------------- numbers
SUMS = {"+": dict(train=["What is {e}?", "{e}", "{e}=?", "{e} = ?", "How much is {e}?", "Add {p} and {q}.", "What is {p} plus {q}?"], held_out=["Can you tell me what {e} is?", "Tell me {e}."]),
        "-": dict(train=["What is {e}?", "{e}", "{e}=?", "{e} = ?", "How much is {e}?", "What is {p} minus {q}?", "Take {q} from {p}."], held_out=["Can you tell me what {e} is?", "Tell me {e}."])}
PEOPLE = ["Tom", "Anna", "Ben", "Lily", "Max", "Mia"]
STORIES_PLUS = {"train": ["{who} has {p} {xs} and gets {q} more. How many {xs} does {who} have?", "{who} has {p} {xs}. Then {who} finds {q} more. How many {xs} does {who} have now?",
                          "There are {p} {xs}. {q} more come. How many {xs} are there now?", "{who} has {p} {xs} and buys {q} more. How many?"],
                "held_out": ["{who} has {p} {xs} and finds {q} more. How many {xs} does {who} have now?", "{who} has {p} {xs} and gets {q} more. How many?"]}
STORIES_MINUS = {"train": ["{who} has {p} {xs} and loses {q}. How many {xs} does {who} have?", "{who} has {p} {xs}. Then {who} gives away {q}. How many {xs} are left?",
                           "There are {p} {xs}. {q} go away. How many {xs} are left?", "{who} has {p} {xs} and gives away {q}. How many are left?"],
                 "held_out": ["{who} has {p} {xs} and loses {q}. How many {xs} are left?", "There are {p} {xs}. {who} gives away {q}. How many are left?"]}


def digits(p, q):
    return max(len(str(p)), len(str(q)))


def sum_steps(p, q, op="+"):
    """Digit by digit from the units, "7+8=15, 4+3+1=08"; a difference writes the borrowed ten first, "12-8=4, 05-3-1=1".
    Every character is a function of two or three that stand before it."""
    steps, carry, res = [], 0, 0
    for k in range(digits(p, q)):
        u, v = p // 10 ** k % 10, q // 10 ** k % 10
        if op == "+":
            s = u + v + carry
            steps.append(f"{u}+{v}" + (f"+{carry}" if k else "") + f"={s:02d}")
            carry = s // 10
        else:
            b = int(u < v + carry)
            steps.append(f"{b}{u}-{v}" + (f"-{carry}" if k else "") + f"={10 * b + u - v - carry}")
            carry = b
    return ", ".join(steps)


def sum_result(p, q, op="+"):
    return p + q if op == "+" else p - q


def random_numbers(r, size, op="+", held=False):
    """(p, q) of at most size digits, at least one with that many; p >= q in a difference."""
    lo, hi = 10 ** (size - 1) if size > 1 else 0, 10 ** size
    while True:
        p, q = int(r.integers(lo, hi)), int(r.integers(lo, hi))
        if size > 1 and r.random() < 0.2:
            q = int(r.integers(0, lo))
        if op == "-" and p < q or (op == "+" and r.random() < 0.5):
            p, q = q, p
        if op == "-" and p < q:
            continue
        if size == 1 or W.held_out_sum(p, q) == bool(held):
            return p, q


def sum_question(r, p, q, op="+", held=False):
    e = f"{p}{op}{q}" if r.random() < 0.75 else f"{p} {op} {q}"
    return phrasing(r, SUMS[op], held, 0.5).format(e=e, p=p, q=q)


def number_item(r, think=None, size=None, op=None, held=False, word=None):
    """(question, answer, think) of a sum, a difference or a word problem."""
    op = op or ("+" if r.random() < 0.55 else "-")
    if word is None:
        word = r.random() < 0.18
    if think is None:
        think = r.random() < 0.8
    if word:
        size = size or (1 if not think or r.random() < 0.5 else 2)
        p, q = random_numbers(r, size, op, held)
        p, q = max(p, 2), max(q, 1)
        if op == "-" and p <= q:
            p = q + 1
        x = CONCEPTS[r.integers(NC)]
        kw = dict(who=PEOPLE[r.integers(len(PEOPLE))], p=p, q=q, xs=x["plural"])
        rows = STORIES_PLUS if op == "+" else STORIES_MINUS
        ps = rows["held_out" if held == "phrasing" else "train"]
        question = ps[r.integers(len(ps))].format(**kw)
        n = sum_result(p, q, op)
        ans = f"{n} {x['name'] if n == 1 else x['plural']}."
    else:
        if size is None:
            size = int(r.choice([1, 2, 3], p=[.1, .5, .4] if think else [.7, .28, .02]))
        p, q = random_numbers(r, size, op, held)
        question, ans = sum_question(r, p, q, op), str(sum_result(p, q, op))
    return question, ans, (sum_steps(p, q, op) if think else None)


COUNTING = {
    "after": dict(train=["What comes after {n}?", "Which number comes after {n}?", "What is the number after {n}?"], held_out=["Tell me what comes after {n}."], answer="{m}."),
    "before": dict(train=["What comes before {n}?", "Which number comes before {n}?", "What is the number before {n}?"], held_out=["Tell me what comes before {n}."], answer="{m}."),
    "to": dict(train=["Count to {n}.", "Count from 1 to {n}.", "Can you count to {n}?"], held_out=["Please count to {n}."], answer="{list}."),
    "list": dict(train=["How many things: {things}?", "Count these: {things}.", "How many words: {things}?"], held_out=["Count the things: {things}."], answer="{m}."),
}


def counting(r, held=False):
    k = ["after", "before", "to", "list"][r.integers(4)]
    n = int(r.integers(1, 100))
    kw = {}
    if k == "after":
        kw = dict(n=n, m=n + 1)
    elif k == "before":
        kw = dict(n=n, m=n - 1)
    elif k == "to":
        n = int(r.integers(2, 10))
        kw = dict(n=n, list=", ".join(str(i) for i in range(1, n + 1)))
    else:
        n = int(r.integers(2, 7))
        kw = dict(things=", ".join(str(x) for x in r.choice(NAMES, n, replace=False)), m=n)
    return phrasing(r, COUNTING[k], held).format(**kw), COUNTING[k]["answer"].format(**kw), "counting"


# ---------------------------------------------------------------- small talk: trained and held-out prompts, answer, thought
TALK = [
    (["Hello", "Hi", "Hello!", "Hi!", "Hey", "Good morning", "Good morning!", "Hello there", "Good evening", "Good day"], ["Hi there!", "Good evening!", "Hey!"], "Hello! What shall we do?", "A greeting."),
    (["Who are you?", "What are you?", "What is your name?", "Tell me who you are.", "Do you have a name?"], ["Tell me your name.", "So who are you?"], "I am the tiny model of Unmask. I write by filling in masks.", "About me."),
    (["What can you do?", "Help", "What can I ask?", "Help me", "What are you good at?"], ["Can you help me?", "So what can you do?"], "I can draw stickers, describe pictures, add numbers and tell tiny stories.", "About my skills."),
    (["How are you?", "How do you do?", "How are you today?", "Are you fine?"], ["So how are you?"], "I am fine, thank you. How are you?", "A greeting."),
    (["Thank you", "Thank you!", "Thanks", "Thanks!", "Thank you very much", "Many thanks"], ["Thanks a lot", "Thank you very much!"], "You are welcome!", "Thanks."),
    (["Goodbye", "Bye", "Bye!", "Good night", "Goodbye!", "See you"], ["Good night!", "See you!"], "Goodbye! Come back soon.", "A farewell."),
    (["How do you work?", "How do you write?", "How do you make text?", "Tell me how you work."], ["Can you tell me how you work?", "So how do you work?"], "I begin with masks and fill in the surest words first.", "About me."),
    (["What is a mask?", "What is masked diffusion?", "Explain masks.", "Tell me about masks."], ["Tell me what a mask is.", "So what is a mask?"], "A mask is a hidden word. I guess all masks at once, step by step.", "About masks."),
    (["Can you draw?", "Can you draw a picture?", "Do you draw?"], ["So can you draw?"], "Yes! Ask me for a cat on a blue background.", "About drawing."),
    (["Can you count?", "Can you add?", "Do you know numbers?", "Can you do sums?"], ["So can you count?"], "Yes, I can add two numbers. Ask me what is 7+8.", "About numbers."),
    (["Do you like me?", "Are you my friend?", "Will you be my friend?", "Are we friends?"], ["So are we friends?"], "Yes, you are my friend.", "About friends."),
    (["Are you a robot?", "Are you alive?", "Are you a person?", "Are you real?"], ["So are you a robot?"], "No, I am a small program.", "About me."),
    (["What do you know?", "What things do you know?", "Which things do you know?"], ["Tell me what you know."], "I know many things: animals, food, plants, vehicles and more.", "About my world."),
    (["Good", "Great", "Great!", "Nice", "Nice!", "Wow", "Good!", "Very nice", "Well done"], ["Wow!", "Very good"], "I am happy to hear that!", "Praise."),
    (["Yes", "Ok", "OK", "Yes!", "All right"], ["Ok!"], "Good! What shall we do next?", "A yes."),
    (["No", "No!", "No thanks"], ["No thank you"], "All right. What shall we do then?", "A no."),
    (["I am sad", "I am sad.", "I feel bad", "I am not happy"], ["I feel sad"], "I am sorry. Shall I draw you a sun?", "Somebody is sad."),
    (["I am happy", "I am happy.", "I feel good", "I am fine"], ["I feel happy"], "That is good! Shall we draw something?", "Somebody is happy."),
    (["Tell me a joke", "Tell me a joke.", "Do you know a joke?", "Make me laugh"], ["Can you tell me a joke?"], "Why did the banana go out? It wanted to split!", "A joke."),
    (["What do you like?", "What do you like best?", "What is your favorite thing?"], ["Tell me what you like."], "I like a sun above a house best.", "About me."),
    (["Who made you?", "Where do you come from?", "Who built you?"], ["Tell me who made you."], "I was trained from nothing on one small computer.", "About me."),
    (["How old are you?", "When were you made?", "Are you old?"], ["So how old are you?"], "I am very young. I was made not long ago.", "About me."),
]
PLACES = ["in the garden", "by the sea", "on a hill", "in the snow", "under a tree", "in the city", "at the lake", "on the beach"]
ENDS = ["They became friends.", "They laughed all day.", "They shared a cake.", "They danced in the rain.", "They flew to the moon.", "They went home happy.", "They sang a song.", "They fell asleep in the sun."]
STORY = {"two": dict(train=["Tell me a story about {x} and {y}.", "Write a story about {x} and {y}.", "Tell a story with {x} and {y}.", "Make up a story about {x} and {y}.", "A story about {x} and {y}, please.", "Can you write a story about {x} and {y}?"],
                     held_out=["Can you tell me a story about {x} and {y}?", "Write me a story about {x} and {y}."]),
         "one": dict(train=["Tell me a story about {x}.", "Write a story about {x}.", "Tell a story with {x}.", "Make up a story about {x}.", "A story about {x}, please.", "Can you write a story about {x}?"],
                     held_out=["Can you tell me a story about {x}?", "Write me a story about {x}."])}
STORY_RULE = "{X} met {y} {place of x}.\n{end of y}"


def partner(x):
    """Whom x meets where a story names x alone."""
    return NAMES[(INDEX[x] + 17) % NC]


def story(r, x=None, y=None, held=False):
    """Two lines. The place follows from the first name, the ending from the second, so that one answer is right."""
    x = x or NAMES[r.integers(NC)]
    kind = "one" if y is None and r.random() < 0.3 else "two"
    if kind == "one":
        y = partner(x)
    while y is None or y == x:
        y = NAMES[r.integers(NC)]
    q = phrasing(r, STORY[kind], held).format(x=a(x), y=a(y))
    return q, f"{cap(a(x))} met {a(y)} {PLACES[INDEX[x] % 8]}.\n{ENDS[INDEX[y] % 8]}", "story", f"{x} and {y}."


LIST = dict(train=["Name three {gs}.", "Tell me three {gs}.", "Give me three {gs}.", "List three {gs}.", "Can you tell me three {gs}?"], held_out=["Can you name three {gs}?", "Say three {gs}."])


def list_group(r, held=False):
    g = list(GROUPS)[r.integers(len(GROUPS))]
    ns = [c["name"] for c in CONCEPTS if c["group"] == g]
    k = [str(x) for x in r.choice(ns, 3, replace=False)]
    return phrasing(r, LIST, held).format(gs=W.GROUP_PLURALS[g]), f"{cap(a(k[0]))}, {a(k[1])} and {a(k[2])}.", "list", g + "."


def fill(r):
    """Plain sentences of the world, for infilling: any sentence may have holes."""
    u = r.random()
    if u < 0.6:
        t = fact(r)[1]
    elif u < 0.8:
        t = story(r)[1]
    else:
        s = W.random_scene(r)
        t = W.fill_in("{S} on a {bg} background.", S=cap(s.phrase()), bg=s.bg)
    return "Complete the text.", t, "fill", None


def talk(r, held=False):
    qs, hs, ans, think = TALK[r.integers(len(TALK))]
    q = (hs if held else qs)[r.integers(len(hs if held else qs))]
    if not held and r.random() < 0.1:
        q = q.lower()
    return q, ans, "talk", think


TEXT_WEIGHTS = dict(fact=.62, talk=.12, story=.10, list=.04, counting=.05, fill=.07)


def text_item(r):
    """(user text, answer, kind) of the chat tasks other than sums; one in ten thinks first."""
    k = pick(r, TEXT_WEIGHTS)
    q, t, kind, *th = {"fact": fact, "talk": talk, "story": story, "list": list_group, "counting": counting, "fill": fill}[k](r)
    if th and th[0] and r.random() < 0.1:
        return W.THINKING_PREFIX + q, f"<think>{th[0]}</think>{t}", kind
    return q, t, kind
