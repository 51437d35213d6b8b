"""The closed world of the tiny checkpoint: concepts, backgrounds, layouts and the splits that are held out.

Everything that is said or drawn is made from small tables, with a numpy
Generator as the only source of chance. Two rules hold throughout:
  * a concept's name is one word, so that the BPE can hold it as one piece;
  * stickers sit on the cell grid of the picture tokenizer, so that their codes
    repeat from picture to picture.
"""
import os

import numpy as np

# name, article, plural, Noto icon, emoji, group, colour, ability, size (1 = smallest), sentence
_C = """
cat|a|cats|cat-face|🐱|animal|yellow|walk|3|It purrs and chases mice.
dog|a|dogs|dog-face|🐶|animal|brown|walk|4|It barks and loves a walk.
rabbit|a|rabbits|rabbit-face|🐰|animal|gray|jump|3|It hops and eats carrots.
bear|a|bears|bear|🐻|animal|brown|walk|5|It is strong and likes honey.
panda|a|pandas|panda|🐼|animal|white|walk|5|It eats bamboo all day.
lion|a|lions|lion|🦁|animal|yellow|walk|5|It roars in the sun.
fox|a|foxes|fox|🦊|animal|orange|walk|4|It is clever and quick.
frog|a|frogs|frog|🐸|animal|green|jump|2|It jumps into the pond.
pig|a|pigs|pig-face|🐷|animal|pink|walk|4|It rolls in the mud.
penguin|a|penguins|penguin|🐧|animal|black|swim|4|It slides on the ice.
owl|an|owls|owl|🦉|animal|brown|fly|3|It is awake at night.
duck|a|ducks|duck|🦆|animal|brown|swim|3|It swims and quacks.
whale|a|whales|spouting-whale|🐳|animal|blue|swim|7|It lives in the sea.
octopus|an|octopuses|octopus|🐙|animal|red|swim|3|It has eight arms.
crab|a|crabs|crab|🦀|animal|orange|walk|2|It walks sideways.
butterfly|a|butterflies|butterfly|🦋|animal|blue|fly|1|It flies from flower to flower.
apple|an|apples|red-apple|🍎|food|red|eat|2|It is sweet and grows on trees.
banana|a|bananas|banana|🍌|food|yellow|eat|2|It is long and soft.
lemon|a|lemons|lemon|🍋|food|yellow|eat|2|It is very sour.
strawberry|a|strawberries|strawberry|🍓|food|red|eat|1|It is small and sweet.
carrot|a|carrots|carrot|🥕|food|orange|eat|2|It grows under the ground.
pizza|a|pizzas|pizza|🍕|food|yellow|eat|3|It is warm and has cheese.
burger|a|burgers|hamburger|🍔|food|brown|eat|3|It has bread on both sides.
cake|a|cakes|birthday-cake|🎂|food|pink|eat|3|It has candles on top.
donut|a|donuts|doughnut|🍩|food|brown|eat|2|It has a hole in it.
mushroom|a|mushrooms|mushroom|🍄|plant|red|grow|2|It grows in the forest.
tree|a|trees|deciduous-tree|🌳|plant|green|grow|6|It is tall and has leaves.
cactus|a|cactuses|cactus|🌵|plant|green|grow|3|It stands in the desert.
rose|a|roses|rose|🌹|plant|red|grow|2|It smells sweet.
sunflower|a|sunflowers|sunflower|🌻|plant|yellow|grow|3|It turns to the light.
sun|a|suns|sun-with-face|🌞|sky|yellow|shine|12|It makes the day bright.
moon|a|moons|crescent-moon|🌙|sky|yellow|shine|10|It shines at night.
star|a|stars|star|⭐|sky|yellow|shine|11|It is far away.
cloud|a|clouds|cloud|☁️|sky|white|float|9|It brings rain.
car|a|cars|automobile|🚗|vehicle|red|drive|6|It drives on the road.
bus|a|buses|oncoming-bus|🚍|vehicle|orange|drive|7|It takes many people.
train|a|trains|locomotive|🚂|vehicle|green|drive|8|It runs on rails.
boat|a|boats|sailboat|⛵|vehicle|orange|float|6|It sails on the sea.
rocket|a|rockets|rocket|🚀|vehicle|gray|fly|8|It flies to the moon.
plane|a|planes|airplane|✈️|vehicle|gray|fly|8|It flies over the clouds.
ball|a|balls|soccer-ball|⚽|thing|white|roll|3|It rolls into the goal.
guitar|a|guitars|guitar|🎸|thing|red|play|3|It makes music.
book|a|books|closed-book|📕|thing|red|read|3|It is full of stories.
key|a|keys|old-key|🗝️|thing|gray|turn|1|It opens a door.
umbrella|an|umbrellas|umbrella|☂️|thing|purple|open|3|It keeps you dry.
balloon|a|balloons|balloon|🎈|thing|red|float|3|It floats on a string.
house|a|houses|house|🏠|thing|brown|enter|7|It is a home for people.
robot|a|robots|robot|🤖|thing|gray|talk|4|It is made of metal.
heart|a|hearts|red-heart|❤️|thing|red|beat|2|It means love.
ghost|a|ghosts|ghost|👻|thing|white|float|4|It says boo.
elephant|an|elephants|elephant|🐘|animal|gray|walk|6|It is big and has a trunk.
turtle|a|turtles|turtle|🐢|animal|green|swim|3|It is slow and has a shell.
bee|a|bees|honeybee|🐝|animal|yellow|fly|1|It makes honey.
snail|a|snails|snail|🐌|animal|brown|walk|1|It carries its house.
cow|a|cows|cow-face|🐮|animal|white|walk|5|It gives us milk.
pear|a|pears|pear|🍐|food|green|eat|2|It is soft and juicy.
tomato|a|tomatoes|tomato|🍅|food|red|eat|2|It is round and good in a salad.
cookie|a|cookies|cookie|🍪|food|brown|eat|2|It is sweet with dark spots.
tulip|a|tulips|tulip|🌷|plant|pink|grow|2|It blooms in spring.
bicycle|a|bicycles|bicycle|🚲|vehicle|blue|ride|5|It has two wheels.
truck|a|trucks|delivery-truck|🚚|vehicle|yellow|drive|7|It carries heavy boxes.
bell|a|bells|bell|🔔|thing|yellow|ring|2|It rings loudly.
crown|a|crowns|crown|👑|thing|yellow|wear|3|It is worn by a king.
drum|a|drums|drum|🥁|thing|red|play|3|It makes a loud beat.
"""
CONCEPTS = []
for _l in _C.strip().split("\n"):
    n, art, pl, icon, emo, grp, col, can, size, say = _l.split("|")
    CONCEPTS.append(dict(name=n, article=art, plural=pl, icon=icon, emoji=emo, group=grp,
                         colour=col, can=can, size=int(size), sentence=say))
NAMES = [c["name"] for c in CONCEPTS]
BY = {c["name"]: c for c in CONCEPTS}
INDEX = {n: i for i, n in enumerate(NAMES)}
NC = len(CONCEPTS)
GROUPS = {"animal": "an animal", "food": "a food", "plant": "a plant", "sky": "in the sky", "vehicle": "a vehicle", "thing": "a thing"}
GROUP_PLURALS = {"animal": "animals", "food": "foods", "plant": "plants", "sky": "sky things", "vehicle": "vehicles", "thing": "things"}
COLOURS = ["red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "gray"]
# abilities said of the thing itself ("a cat can walk") and of the reader ("you can eat an apple")
ITS = ["walk", "jump", "swim", "fly", "grow", "shine", "float", "roll", "talk", "beat", "ring"]
YOURS = ["eat", "drive", "play", "read", "turn", "open", "wear", "ride", "enter"]
CANS = ITS + YOURS

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
    "left": [(2, 0, SMALL)],
    "right": [(2, 4, SMALL)],
    "top": [(0, 2, SMALL)],
    "bottom": [(4, 2, SMALL)],
    "none": [],
}
LAYOUT_NAMES = list(LAYOUTS)
PAIRS = ("beside", "above")
COUNTS = ("two", "three", "four")
PLACED = ("left", "right", "top", "bottom")
WHERE = {"left": "on the left", "right": "on the right", "top": "at the top", "bottom": "at the bottom"}
# how a scene is named in a prompt or an answer; {x}, {y} with article, {xs} plural
PHRASES = {"one": "{x}", "beside": "{x} and {y}", "above": "{x} above {y}", "two": "two {xs}", "three": "three {xs}", "four": "four {xs}",
           "left": "{x} on the left", "right": "{x} on the right", "top": "{x} at the top", "bottom": "{x} at the bottom", "none": "nothing"}
CAPTIONS = {"train": ["{scene}", "{scene} on a {bg} background", "{scene} on {bg}", "draw {scene}", "draw {scene} on a {bg} background",
                      "draw {scene} on {bg}", "a picture of {scene}", "a picture of {scene} on a {bg} background", "a {bg} background with {scene}"],
            "held_out": ["paint {scene} on a {bg} background", "show {scene} on {bg}", "{scene} with a {bg} background"]}
NUMBERS = ["no", "one", "two", "three", "four"]
THINKING_PREFIX = "Think first.\n"
# pictures of the tasks; "none" is there for removing
SCENE_WEIGHTS = dict(one=0.22, beside=0.24, above=0.18, two=0.08, three=0.08, four=0.08, left=0.025, right=0.025, top=0.025, bottom=0.025, none=0.02)


BOOST = [float(v) for v in os.environ["TINY_NEW"].split(":")] if "TINY_NEW" in os.environ else None
if BOOST:
    BOOST[0] = int(BOOST[0])


def a(name):
    return BY[name]["article"] + " " + name


def cap(s):
    return s[0].upper() + s[1:]


def a_word(w):
    return ("an " if w[0] in "aeiou" else "a ") + w


def fill_in(t, **kw):
    """A pattern with its places filled; after "a " a word that begins with a vowel takes "an"."""
    if "a {bg}" in t and kw.get("bg", "x")[0] in "aeiou":
        t = t.replace("a {bg}", "an {bg}")
    return t.format(**kw)


def held_out_pair(x, y):
    """Ordered pairs of different concepts kept from training (about one in twelve)."""
    i, j = INDEX[x], INDEX[y]
    return (7 * i + 11 * j + i * j) % 12 == 5


def held_out_other(x, layout, bg):
    """Combinations of concept, layout and background kept from training (one in ten) where a sticker is small and not
    with another one. Single big stickers are all trained on: they are the world."""
    return (3 * INDEX[x] + 7 * BG_NAMES.index(bg) + 5 * LAYOUT_NAMES.index(layout)) % 10 == 4


def held_out_sum(p, q):
    """Number pairs kept from training, of sums and of differences (about one in ten)."""
    return (p * 13 + q * 29 + p * q) % 10 == 3


class Scene:
    def __init__(self, layout, names, bg):
        self.layout, self.names, self.bg = layout, names, bg

    @property
    def count(self):
        return len(LAYOUTS[self.layout])

    def stickers(self):
        pos = LAYOUTS[self.layout]
        ns = self.names if len(self.names) == len(pos) else self.names[:1] * len(pos)
        return list(zip(ns, pos))

    def held_out(self):
        if self.layout in PAIRS:
            return held_out_pair(*self.names)
        return self.layout not in ("one", "none") and held_out_other(self.names[0], self.layout, self.bg)

    def phrase(self, place=True):
        """Names the stickers; place = False leaves out where a single small one is."""
        lay = self.layout if place or self.layout not in PLACED else "one"
        kw = {}
        if self.names:
            kw = dict(x=a(self.names[0]), y=a(self.names[-1]), xs=BY[self.names[0]]["plural"])
        return PHRASES[lay].format(**kw)

    def places(self):
        """[(word for the place, name)] where a place has a word of its own."""
        if self.layout == "beside" or self.layout == "two":
            return list(zip(("left", "right"), [n for n, _ in self.stickers()]))
        if self.layout == "above":
            return list(zip(("top", "bottom"), self.names))
        return [(self.layout, self.names[0])] if self.layout in PLACED else []


def random_name(r):
    """TINY_NEW=k:w in the environment gives the last k concepts w times the share of the others (after growing the world)."""
    if not BOOST:
        return NAMES[r.integers(NC)]
    k, w = BOOST
    return NAMES[NC - k + int(r.integers(k))] if r.random() < k * w / (k * w + NC - k) else NAMES[int(r.integers(NC - k))]


def random_scene(r, held=None, weights=None):
    """held: None or False = what is trained on, True = held out (single big ones are never held out: any of them)."""
    w = weights or SCENE_WEIGHTS
    lays = list(w)
    p = np.array([w[k] for k in lays], float)
    lay = lays[r.choice(len(lays), p=p / p.sum())]
    while True:
        bg = BG_NAMES[r.integers(len(BG_NAMES))]
        x = random_name(r)
        if lay == "none":
            return Scene(lay, [], bg)
        if lay in PAIRS:
            y = random_name(r)
            if x == y:
                continue
            s = Scene(lay, [x, y], bg)
        else:
            s = Scene(lay, [x], bg)
        if lay == "one" or s.held_out() == bool(held):
            return s


def caption(r, s, place=True):
    """A prompt for drawing. Without a background named, any background is right."""
    t = CAPTIONS["train"][r.choice(9, p=[.16, .40, .14, .04, .06, .03, .03, .06, .08])]
    t = fill_in(t, scene=s.phrase(place), bg=s.bg)
    if r.random() < 0.2:
        t = cap(t)
    return t + "." if r.random() < 0.15 else t
