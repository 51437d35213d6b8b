"""The closed world of the tiny checkpoint: concepts, backgrounds, layouts, texts.

Everything that is said or drawn is made here from small tables, with a numpy
Generator as the only source of chance. Two rules hold throughout:
  * a concept's name is one word, so that the BPE can hold it as one piece;
  * stickers sit on the cell grid of the picture tokenizer, so that their codes
    repeat from picture to picture.
"""
import numpy as np

# name, article, plural, Noto icon, emoji, group, colour, ability, sentence
_C = """
cat|a|cats|cat-face|🐱|animal|yellow|walk|It purrs and chases mice.
dog|a|dogs|dog-face|🐶|animal|brown|walk|It barks and loves a walk.
rabbit|a|rabbits|rabbit-face|🐰|animal|gray|jump|It hops and eats carrots.
bear|a|bears|bear|🐻|animal|brown|walk|It is strong and likes honey.
panda|a|pandas|panda|🐼|animal|white|walk|It eats bamboo all day.
lion|a|lions|lion|🦁|animal|yellow|walk|It roars in the sun.
fox|a|foxes|fox|🦊|animal|orange|walk|It is clever and quick.
frog|a|frogs|frog|🐸|animal|green|jump|It jumps into the pond.
pig|a|pigs|pig-face|🐷|animal|pink|walk|It rolls in the mud.
penguin|a|penguins|penguin|🐧|animal|black|swim|It slides on the ice.
owl|an|owls|owl|🦉|animal|brown|fly|It is awake at night.
duck|a|ducks|duck|🦆|animal|brown|swim|It swims and quacks.
whale|a|whales|spouting-whale|🐳|animal|blue|swim|It lives in the sea.
octopus|an|octopuses|octopus|🐙|animal|red|swim|It has eight arms.
crab|a|crabs|crab|🦀|animal|orange|walk|It walks sideways.
butterfly|a|butterflies|butterfly|🦋|animal|blue|fly|It flies from flower to flower.
apple|an|apples|red-apple|🍎|food|red|eat|It is sweet and grows on trees.
banana|a|bananas|banana|🍌|food|yellow|eat|It is long and soft.
lemon|a|lemons|lemon|🍋|food|yellow|eat|It is very sour.
strawberry|a|strawberries|strawberry|🍓|food|red|eat|It is small and sweet.
carrot|a|carrots|carrot|🥕|food|orange|eat|It grows under the ground.
pizza|a|pizzas|pizza|🍕|food|yellow|eat|It is warm and has cheese.
burger|a|burgers|hamburger|🍔|food|brown|eat|It has bread on both sides.
cake|a|cakes|birthday-cake|🎂|food|pink|eat|It has candles on top.
donut|a|donuts|doughnut|🍩|food|brown|eat|It has a hole in it.
mushroom|a|mushrooms|mushroom|🍄|plant|red|grow|It grows in the forest.
tree|a|trees|deciduous-tree|🌳|plant|green|grow|It is tall and has leaves.
cactus|a|cactuses|cactus|🌵|plant|green|grow|It stands in the desert.
rose|a|roses|rose|🌹|plant|red|grow|It smells sweet.
sunflower|a|sunflowers|sunflower|🌻|plant|yellow|grow|It turns to the light.
sun|a|suns|sun-with-face|🌞|sky|yellow|shine|It makes the day bright.
moon|a|moons|crescent-moon|🌙|sky|yellow|shine|It shines at night.
star|a|stars|star|⭐|sky|yellow|shine|It is far away.
cloud|a|clouds|cloud|☁️|sky|white|float|It brings rain.
car|a|cars|automobile|🚗|vehicle|red|drive|It drives on the road.
bus|a|buses|oncoming-bus|🚍|vehicle|orange|drive|It takes many people.
train|a|trains|locomotive|🚂|vehicle|green|drive|It runs on rails.
boat|a|boats|sailboat|⛵|vehicle|orange|swim|It sails on the sea.
rocket|a|rockets|rocket|🚀|vehicle|gray|fly|It flies to the moon.
plane|a|planes|airplane|✈️|vehicle|gray|fly|It flies over the clouds.
ball|a|balls|soccer-ball|⚽|thing|white|roll|You can kick it.
guitar|a|guitars|guitar|🎸|thing|red|play|It makes music.
book|a|books|closed-book|📕|thing|red|read|It is full of stories.
key|a|keys|old-key|🗝️|thing|gray|turn|It opens a door.
umbrella|an|umbrellas|umbrella|☂️|thing|purple|open|It keeps you dry.
balloon|a|balloons|balloon|🎈|thing|red|float|It floats on a string.
house|a|houses|house|🏠|thing|brown|open|People live in it.
robot|a|robots|robot|🤖|thing|gray|talk|It is made of metal.
heart|a|hearts|red-heart|❤️|thing|red|beat|It means love.
ghost|a|ghosts|ghost|👻|thing|white|float|It says boo.
"""
CONCEPTS = []
for _l in _C.strip().split("\n"):
    n, art, pl, icon, emo, grp, col, can, say = _l.split("|")
    CONCEPTS.append(dict(name=n, article=art, plural=pl, icon=icon, emoji=emo, group=grp,
                         colour=col, can=can, sentence=say))
NAMES = [c["name"] for c in CONCEPTS]
BY = {c["name"]: c for c in CONCEPTS}
NC = len(CONCEPTS)
GROUPS = ["animal", "food", "plant", "sky", "vehicle", "thing"]
COLOURS = ["red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "gray"]
CANS = ["walk", "jump", "swim", "fly", "eat", "grow", "shine", "float", "drive", "roll", "play", "read", "turn", "open", "talk", "beat"]

BACKGROUNDS = [("white", (255, 255, 255)), ("yellow", (255, 236, 150)), ("pink", (255, 200, 214)),
               ("blue", (172, 214, 255)), ("green", (178, 230, 184)), ("purple", (206, 190, 244)),
               ("orange", (255, 196, 138)), ("black", (48, 50, 62))]
BG_NAMES = [b[0] for b in BACKGROUNDS]

GRID, CELL_OUT = 8, 16          # 8x8 tokens; a token is 16 px of the 128-px picture
BIG, SMALL = 6, 4               # sticker sides in cells
# layout -> list of (row, column, side) in cells
LAYOUTS = {
    "one": [(1, 1, BIG)],
    "beside": [(2, 0, SMALL), (2, 4, SMALL)],
    "above": [(0, 2, SMALL), (4, 2, SMALL)],
    "two": [(2, 0, SMALL), (2, 4, SMALL)],
    "three": [(0, 2, SMALL), (4, 0, SMALL), (4, 4, SMALL)],
    "four": [(0, 0, SMALL), (0, 4, SMALL), (4, 0, SMALL), (4, 4, SMALL)],
}
NUMBER = {"one": 1, "two": 2, "three": 3, "four": 4}
THINKING_PREFIX = "Think first.\n"


def a(name):
    return BY[name]["article"] + " " + name


def cap(s):
    return s[0].upper() + s[1:]


def held_out_pair(x, y):
    """Ordered pairs of different concepts kept from training (about one in twelve)."""
    i, j = NAMES.index(x), NAMES.index(y)
    return (7 * i + 11 * j + i * j) % 12 == 5


def held_out_one(x, bg):
    """Concept-background pairs kept from training as single big stickers (one in ten)."""
    return (3 * NAMES.index(x) + 7 * BG_NAMES.index(bg)) % 10 == 4


def held_out_sum(p, q):
    """Two-digit sums kept from training (about one in ten)."""
    return (p * 13 + q * 29 + p * q) % 10 == 3


class Scene:
    def __init__(self, layout, names, bg):
        self.layout, self.names, self.bg = layout, names, bg

    @property
    def count(self):
        return len(LAYOUTS[self.layout])

    def stickers(self):
        pos = LAYOUTS[self.layout]
        ns = self.names if len(self.names) == len(pos) else [self.names[0]] * len(pos)
        return list(zip(ns, pos))

    def phrase(self):
        n = self.names
        if self.layout == "one":
            return a(n[0])
        if self.layout == "beside":
            return f"{a(n[0])} and {a(n[1])}"
        if self.layout == "above":
            return f"{a(n[0])} above {a(n[1])}"
        return f"{self.layout} {BY[n[0]]['plural']}"


def random_scene(r, held=None, weights=(0.40, 0.22, 0.14, 0.08, 0.08, 0.08)):
    """held: None = what is trained on, True = the held-out combinations.
    Pairs are held out of training; single stickers and counts (1,600 scenes in all) are all trained on in the end,
    after a run without one combination in ten had shown what the model makes of unseen ones."""
    lay = list(LAYOUTS)[r.choice(6, p=np.array(weights) / sum(weights))]
    while True:
        bg = BG_NAMES[r.integers(len(BG_NAMES))]
        x = NAMES[r.integers(NC)]
        if lay in ("beside", "above"):
            y = NAMES[r.integers(NC)]
            if x != y and held_out_pair(x, y) == bool(held):
                return Scene(lay, [x, y], bg)
        else:
            if held is None or held_out_one(x, bg) == bool(held):
                return Scene(lay, [x], bg)


def caption(r, s):
    """A prompt for drawing. Without a background named, any background is right."""
    p = s.phrase()
    u = r.random()
    if u < 0.30:
        t = p
    elif u < 0.80:
        t = f"{p} on a {s.bg} background"
    else:
        t = f"{p} on {s.bg}"
    u = r.random()
    if u < 0.12:
        t = "draw " + t
    elif u < 0.20:
        t = "a picture of " + t
    u = r.random()
    if u < 0.2:
        t = cap(t)
    if r.random() < 0.15:
        t = t + "."
    return t


COLOUR_WORDS = ["color", "colour"]


def ask_picture(r, s, kind=None):
    """(question, answer, kind) about a scene."""
    pos = LAYOUTS[s.layout]
    if kind is None:
        kinds = ["what", "describe", "background", "count", "isthere"]
        w = [0.45, 0.30, 0.07, 0.10, 0.05]
        if s.layout in ("beside", "above"):
            kinds.append("where")
            w.append(0.2)
        kind = kinds[r.choice(len(kinds), p=np.array(w) / sum(w))]
    if kind == "what":
        q = ["What is this?", "What is in the picture?", "What do you see?"][r.choice(3, p=[.8, .1, .1])]
        return q, cap(s.phrase()) + ".", kind
    if kind == "describe":
        q = ["Describe the picture.", "Describe this.", "What does the picture show?"][r.choice(3, p=[.8, .1, .1])]
        return q, f"{cap(s.phrase())} on a {s.bg} background.", kind
    if kind == "background":
        c = COLOUR_WORDS[r.integers(2)]
        q = [f"What {c} is the background?", f"Which {c} is the background?"][r.choice(2, p=[.8, .2])]
        return q, f"The background is {s.bg}.", kind
    if kind == "count":
        num = ["one", "two", "three", "four"][s.count - 1]
        if s.layout in ("one", "two", "three", "four") and r.random() < 0.6:
            c = BY[s.names[0]]
            q = f"How many {c['plural']} are there?"
            return q, (f"There is one {c['name']}." if s.count == 1 else f"There are {num} {c['plural']}."), kind
        q = ["How many stickers are there?", "How many things are there?"][r.integers(2)]
        return q, (f"There is one." if s.count == 1 else f"There are {num}."), kind
    if kind == "isthere":
        if r.random() < 0.5:
            return f"Is there {a(s.names[r.integers(len(s.names))])}?", "Yes.", kind
        while True:
            x = NAMES[r.integers(NC)]
            if x not in s.names:
                return f"Is there {a(x)}?", "No.", kind
    i = int(r.integers(2))
    word = (("on the left", "on the right") if s.layout == "beside" else ("at the top", "at the bottom"))[i]
    return f"What is {word}?", cap(a(s.names[i])) + ".", "where"


def think_picture(s):
    """Think steps for a picture question: the stickers one by one, then the background."""
    return "I see " + ", ".join(n for n, _ in s.stickers()) + " on " + s.bg + "."


# ---------------------------------------------------------------- sums
def sum_question(r, p, q):
    u = r.random()
    e = f"{p}+{q}" if r.random() < 0.7 else f"{p} + {q}"
    if u < 0.6:
        return f"What is {e}?"
    if u < 0.8:
        return e
    return f"{e} = ?" if " " in e else f"{e}=?"


def sum_steps(p, q):
    """Units with a two-digit result, then tens with the carry; the same length for all sums."""
    u = p % 10 + q % 10
    c, t = u // 10, p // 10 + q // 10 + u // 10
    return f"<think>{p % 10}+{q % 10}={u:02d}, {p // 10}+{q // 10}+{c}={t:02d}</think>{p + q}"


def random_sum(r, held=None):
    """(p, q) with at least one two-digit number."""
    while True:
        u = r.random()
        if u < 0.75:
            p, q = int(r.integers(10, 100)), int(r.integers(10, 100))
        elif u < 0.9:
            p, q = int(r.integers(10, 100)), int(r.integers(0, 10))
        else:
            p, q = int(r.integers(0, 10)), int(r.integers(10, 100))
        if held_out_sum(p, q) == bool(held):
            return p, q


# ---------------------------------------------------------------- facts
def group_phrase(g):
    return {"animal": "an animal", "food": "a food", "plant": "a plant", "sky": "in the sky",
            "vehicle": "a vehicle", "thing": "a thing"}[g]


def fact(r, kind=None):
    """(question, answer, kind)."""
    c = CONCEPTS[r.integers(NC)]
    A = cap(a(c["name"]))
    if kind is None:
        kind = ["isa", "colour", "about", "isa_yn", "colour_yn", "can"][r.choice(6, p=[.22, .22, .2, .14, .12, .10])]
    cw = COLOUR_WORDS[r.integers(2)]
    if kind == "isa":
        return f"What is {a(c['name'])}?", f"{A} is {group_phrase(c['group'])}.", kind
    if kind == "colour":
        return f"What {cw} is {a(c['name'])}?", f"{A} is {c['colour']}.", kind
    if kind == "about":
        q = ["Tell me about {}.", "What do you know about {}?"][r.choice(2, p=[.7, .3])].format(a(c["name"]))
        return q, f"{A} is {group_phrase(c['group'])}. {c['sentence']}", kind
    if kind == "isa_yn":
        if r.random() < 0.5:
            g = c["group"]
        else:
            g = GROUPS[r.integers(len(GROUPS))]
        yes = g == c["group"]
        return f"Is {a(c['name'])} {group_phrase(g)}?", f"{'Yes' if yes else 'No'}, {a(c['name'])} is {group_phrase(c['group'])}.", kind
    if kind == "colour_yn":
        col = c["colour"] if r.random() < 0.5 else COLOURS[r.integers(len(COLOURS))]
        yes = col == c["colour"]
        return f"Is {a(c['name'])} {col}?", f"{'Yes' if yes else 'No'}, {a(c['name'])} is {c['colour']}.", kind
    v = c["can"] if r.random() < 0.5 else CANS[r.choice([2, 3, 4, 8])]
    yes = v == c["can"]
    if v == "eat":
        return f"Can you eat {a(c['name'])}?", ("Yes" if yes else "No") + (", it is a food." if yes else f", it is {'not a food' }."), "can"
    if v in ("play", "read", "turn", "open", "drive", "roll"):
        yes = v == c["can"]
        return f"Can you {v} {a(c['name'])}?", ("Yes, you can." if yes else "No, you cannot."), "can"
    return f"Can {a(c['name'])} {v}?", ("Yes, it can." if yes else "No, it cannot."), "can"


def think_fact(q, ans, c=None):
    return ans


TALK = [
    (["Hello", "Hi", "Hello!", "Hi!", "Hey", "Good morning", "Good morning!"], "Hello! What shall we do?"),
    (["Who are you?", "What are you?", "What is your name?"], "I am the tiny model of Unmask. I write by filling in masks."),
    (["What can you do?", "Help", "What can I ask?"], "I can draw stickers, describe pictures, add numbers and tell tiny stories."),
    (["How are you?", "How do you do?"], "I am fine, thank you. How are you?"),
    (["Thank you", "Thank you!", "Thanks", "Thanks!"], "You are welcome!"),
    (["Goodbye", "Bye", "Bye!", "Good night"], "Goodbye! Come back soon."),
    (["How do you work?", "How do you write?"], "I begin with masks and fill in the surest words first."),
    (["What is a mask?", "What is masked diffusion?"], "A mask is a hidden word. I guess all masks at once, step by step."),
    (["Can you draw?", "Can you draw a picture?"], "Yes! Ask me for a cat on a blue background."),
    (["Can you count?", "Can you add?"], "Yes, I can add two numbers. Ask me what is 7+8."),
    (["Do you like me?", "Are you my friend?"], "Yes, you are my friend."),
    (["Are you a robot?", "Are you alive?"], "No, I am a small program."),
    (["What do you know?", "What things do you know?"], "I know fifty things: animals, food, plants, vehicles and more."),
    (["Good", "Great", "Great!", "Nice", "Nice!", "Wow"], "I am happy to hear that!"),
    (["Yes", "Ok", "OK"], "Good! What shall we do next?"),
    (["No"], "All right. What shall we do then?"),
]
PLACES = ["in the garden", "by the sea", "on a hill", "in the snow", "under a tree", "in the city"]
ENDS = ["They became friends.", "They laughed all day.", "They shared a cake.", "They danced in the rain.", "They flew to the moon.", "They went home happy."]


def story(r, x=None, y=None):
    """Two lines about one or two concepts. Place and ending follow from the names, so one answer is right."""
    x = x or NAMES[r.integers(NC)]
    if y is None:
        y = NAMES[r.integers(NC)]
        while y == x:
            y = NAMES[r.integers(NC)]
    i, j = NAMES.index(x), NAMES.index(y)
    place, end = PLACES[i % 6], ENDS[j % 6]
    q = ["Tell me a story about {} and {}.", "Write a story about {} and {}."][r.choice(2, p=[.7, .3])].format(a(x), a(y))
    return q, f"{cap(a(x))} met {a(y)} {place}.\n{end}", "story"


def list_group(r):
    g = GROUPS[r.integers(len(GROUPS))]
    ns = [c["name"] for c in CONCEPTS if c["group"] == g]
    k = [str(x) for x in r.choice(ns, 3, replace=False)]
    noun = {"animal": "animals", "food": "foods", "plant": "plants", "sky": "sky things", "vehicle": "vehicles", "thing": "things"}[g]
    return f"Name three {noun}.", f"{cap(a(k[0]))}, {a(k[1])} and {a(k[2])}.", "list"


def fill(r):
    """Plain sentences of the world, for infilling: any sentence may have holes."""
    u = r.random()
    if u < 0.5:
        _, t, _ = fact(r)
    elif u < 0.8:
        _, t, _ = story(r)
    else:
        s = random_scene(r)
        t = f"{cap(s.phrase())} on a {s.bg} background."
    return "Complete the text.", t, "fill"


def talk(r):
    qs, ans = TALK[r.integers(len(TALK))]
    q = qs[r.integers(len(qs))]
    if r.random() < 0.1:
        q = q.lower()
    return q, ans, "talk"


def text_item(r):
    """(user text, answer, kind) for the chat tasks other than sums."""
    u = r.random()
    if u < 0.50:
        q, t, k = fact(r)
        if r.random() < 0.06:
            return THINKING_PREFIX + q, "<think>I know it.</think>" + t, k
        return q, t, k
    if u < 0.68:
        return talk(r)
    if u < 0.82:
        return story(r)
    if u < 0.90:
        return list_group(r)
    return fill(r)
