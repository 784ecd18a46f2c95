/** Everything that stands or lies on the ground, as pixel art written out row by row and painted once. */

import { chanceOf } from "./noise.js";

export type Sprite = HTMLCanvasElement;
type Palette = Readonly<Record<string, string>>;

const OUTLINE = "#2a2331";

const FRONT_HEAD = [
  "...oooooo...",
  "..ohhhhhho..",
  ".ohhhHHhhho.",
  ".ohhhhhhhho.",
  ".ohhsssshho.",
  ".ohsesseSho.",
  ".ohsesseSho.",
  "..osssssso..",
];
const BACK_HEAD = [
  "...oooooo...",
  "..ohhhhhho..",
  ".ohhHHhhhho.",
  ".ohhhhhhhho.",
  ".ohhhhhhhho.",
  ".ohhhhhhhho.",
  ".ohhhhhhhho.",
  "..ohhhhhho..",
];
const SIDE_HEAD = [
  "...oooooo...",
  "..ohhhhhho..",
  ".ohhhHHhhho.",
  ".ohhhhhhhho.",
  ".ohhhhhssso.",
  ".ohhhhsseso.",
  ".ohhhssseso.",
  "..ohssssso..",
];
const FRONT_BODY = ["..oottttoo..", ".ottTttTtto.", ".ostttttTso.", ".osbbbbbbso.", "..otttttTo.."];
const SIDE_BODY = ["...ottttoo..", "..ottttTto..", "..otsstTto..", "..obssbbbo..", "..ottttTto.."];

const LEGS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  front: [
    ["..olloollo..", "..okkookko.."],
    ["..olloolko..", "..okkoooo..."],
    ["..okloollo..", "...oookkko.."],
  ],
  side: [
    ["...ollLo....", "...okkko...."],
    ["..olloLLo...", "..okkookko.."],
    ["...ollLo....", "....okko...."],
  ],
};

const SKINS = ["#f2c79e", "#e3ac7d", "#c68a5b", "#9a6540", "#704527"];
const HAIRS = ["#3a2a26", "#6b3f26", "#a8622e", "#d9a441", "#8d8a92", "#7a2f35", "#2d3c4f"];
const CLOTHES = [
  ["#d65a4a", "#a63d38"],
  ["#3f86c9", "#2c6299"],
  ["#e0a53a", "#b27b26"],
  ["#7b5bc4", "#5a4096"],
  ["#3aa687", "#287a64"],
  ["#d66fa3", "#a74c7c"],
  ["#e8e4d8", "#b9b4a8"],
  ["#4c5a73", "#364156"],
] as const;

export type Facing = "up" | "down" | "left" | "right";

/** The colour a player is known by, in chat and on the map as well. */
export function colourOf(playerId: string): string {
  return pick(CLOTHES, playerId, 3)[0];
}

export class Sprites {
  private readonly made = new Map<string, Sprite>();

  /** A character; `step` is 0 when standing, else 1 or 2. */
  character(playerId: string, facing: Facing, step: 0 | 1 | 2): Sprite {
    return this.once(`${playerId}/${facing}/${step}`, () => characterSprite(playerId, facing, step));
  }

  item(kind: string): Sprite {
    return this.once(`item/${kind}`, () => {
      const [palette, rows] = ITEMS[kind] ?? parcel(kind);
      return painted(rows, { o: OUTLINE, ...palette });
    });
  }

  private once(key: string, make: () => Sprite): Sprite {
    const sprite = this.made.get(key) ?? make();
    this.made.set(key, sprite);
    return sprite;
  }
}

function characterSprite(playerId: string, facing: Facing, step: 0 | 1 | 2): Sprite {
  const isSide = facing === "left" || facing === "right";
  const head = isSide ? SIDE_HEAD : facing === "up" ? BACK_HEAD : FRONT_HEAD;
  const rows = [...head, ...(isSide ? SIDE_BODY : FRONT_BODY), ...LEGS[isSide ? "side" : "front"]![step]!];
  const [cloth, fold] = pick(CLOTHES, playerId, 3);
  const hair = pick(HAIRS, playerId, 2);
  const skin = pick(SKINS, playerId, 1);
  return painted(
    facing === "left" ? rows.map(mirrored) : rows,
    {
      o: OUTLINE, h: hair, H: lighter(hair), s: skin, S: skin, e: "#2b2430",
      t: cloth, T: fold, b: "#5b4130", l: "#4a4a5e", L: "#3b3b4d", k: "#3a2c28",
    },
  );
}

function mirrored(row: string): string {
  return [...row].reverse().join("");
}

function pick<Choice>(choices: readonly Choice[], playerId: string, salt: number): Choice {
  return choices[Math.floor(chanceOf(playerId, salt) * choices.length)]!;
}

function lighter(hex: string): string {
  const channels = [1, 3, 5].map((at) => Math.min(255, Number.parseInt(hex.slice(at, at + 2), 16) + 26));
  return `rgb(${channels.join(" ")})`;
}

function painted(rows: readonly string[], palette: Palette): Sprite {
  const sprite = document.createElement("canvas");
  sprite.width = Math.max(...rows.map((row) => row.length));
  sprite.height = rows.length;
  const context = sprite.getContext("2d")!;
  rows.forEach((row, y) => {
    [...row].forEach((key, x) => {
      const colour = palette[key];
      if (colour === undefined) return;
      context.fillStyle = colour;
      context.fillRect(x, y, 1, 1);
    });
  });
  return sprite;
}

/** What has no picture of its own is a parcel with a ribbon in a colour of its own. */
function parcel(kind: string): readonly [Palette, readonly string[]] {
  const ribbon = `hsl(${Math.floor(chanceOf(kind) * 360)} 65% 60%)`;
  return [
    { a: "#b98a58", b: "#966b3f", r: ribbon },
    ["...........", "..oooooooo.", ".oaaarraaao", ".oaaarraaao", ".orrrrrrrro", ".obbbrrbbbo", ".obbbrrbbbo", "..oooooooo."],
  ];
}

const ITEMS: Readonly<Record<string, readonly [Palette, readonly string[]]>> = {
  apple: [
    { a: "#d8453e", b: "#a92d33", w: "#f6a79a", g: "#5aa24c", t: "#6b4630" },
    ["......tgg..", ".....tggo..", "..ooootooo.", ".oaaaaaaaao", ".oawaaaaabo", ".oawaaaaabo", ".oaaaaaaabo", "..oaaaaabo.", "...oabbbo..", "....oooo..."],
  ],
  berry: [
    { a: "#6a53c9", b: "#4b3796", w: "#b6a6f2", g: "#5aa24c" },
    [".....gg....", "...gggg....", "..ooogoooo.", ".oaaooaaao.", "oawabawaabo", "oaaabaaaabo", ".obbooabbo.", "..ooaaaoo..", "...oabbo...", "....ooo...."],
  ],
  coin: [
    { a: "#f2c94c", b: "#c8922e", w: "#fff1b8" },
    ["...ooooo...", "..oaaaaao..", ".oawwaaabo.", ".oawabaabo.", ".oawabaabo.", ".oaaabaabo.", ".oaaabaabo.", ".oaaaaabbo.", "..obbbbbo..", "...ooooo..."],
  ],
  flower: [
    { a: "#ef86b0", b: "#c95a8a", y: "#f7d35e", g: "#4f9a48", d: "#3b7a3a" },
    ["...aa.aa...", "..aaaaaaa..", "..abyyyba..", "..aayyyaa..", "...aa.aa...", "..b..g..b..", "..gg.g.....", "...ggg.gg..", ".....ggg...", ".....d....."],
  ],
  key: [
    { a: "#e7c14f", b: "#b98a2f", w: "#fff0b0" },
    ["..oooo.....", ".oawaao....", ".oaooao....", ".oaooao....", ".obaabo....", "..oabo.....", "...oabo....", "....oaboo..", ".....oaabo.", "......oobo.", "........o.."],
  ],
  potion: [
    { a: "#48c2b0", b: "#2c8d86", w: "#d8fff6", g: "#cfe6ea", c: "#9c6b43" },
    ["....ccc....", "....ccc....", "...ogggo...", "....ogo....", "...ogggo...", "..ogggggo..", ".oawaaaabo.", ".oawaaaabo.", ".oaaaaabbo.", "..oabbbbo..", "...ooooo..."],
  ],
  shield: [
    { a: "#4f86c6", b: "#35639b", w: "#f0e6c8", m: "#c9ced6" },
    [".ooooooooo.", ".ommmmmmmo.", ".omaawbbmo.", ".omaawbbmo.", ".omwwwwwmo.", ".omaawbbmo.", ".omaawbbmo.", "..omawbmo..", "...ommmo...", "....ooo...."],
  ],
  shell: [
    { a: "#f4d3c2", b: "#d99c8b", w: "#fff5ec" },
    ["...........", "....ooo....", "..ooawaoo..", ".oabawabao.", ".oabawabao.", "oaabawabaao", "oabbawabbao", ".oabawabao.", "..oobbboo..", "....ooo...."],
  ],
};
