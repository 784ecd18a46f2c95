/**
 * RFC 7386 merge patches on frozen trees: what a patch does not touch is shared between the old tree and the new, so
 * that `before.players === after.players` says that nobody moved.
 */

export type Tree = { readonly [key: string]: unknown };

/** `target` with `patch` applied; `target` itself if that changes nothing. Neither is ever written to. */
export function applyPatch<T extends object>(target: T, patch: Tree): T {
  return merged(target as unknown as Tree, patch) as unknown as T;
}

function merged(target: Tree, patch: Tree): Tree {
  const changes = Object.entries(patch)
    .map(([key, value]) => [key, isTree(value) ? merged(child(target, key) ?? NOTHING, value) : value] as const)
    .filter(([key, value]) => (value === null ? Object.hasOwn(target, key) : value !== own(target, key)));
  if (changes.length === 0) return target;
  const entries = new Map(Object.entries(target));
  for (const [key, value] of changes) value === null ? entries.delete(key) : entries.set(key, value);
  // Built from entries, a key of any name is an own member: an assignment to `__proto__` would not be one.
  return Object.fromEntries(entries);
}

const NOTHING: Tree = Object.freeze({});

/**
 * What is left of `overlay` (patches of volatile fields, never stored) once a durable patch has come: it loses what
 * lies under anything that the patch removed or replaced.
 */
export function uncovered(overlay: Tree, patch: Tree): Tree {
  if (Object.keys(overlay).length === 0) return overlay;
  const kept = Object.entries(overlay).flatMap(([key, value]) => {
    if (!Object.hasOwn(patch, key)) return [[key, value] as const];
    const changed = patch[key];
    return isTree(value) && isTree(changed) ? [[key, uncovered(value, changed)] as const] : [];
  });
  return Object.fromEntries(kept);
}

export function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function own(tree: Tree, key: string): unknown {
  return Object.hasOwn(tree, key) ? tree[key] : undefined;
}

function child(tree: Tree, key: string): Tree | undefined {
  const value = own(tree, key);
  return isTree(value) ? value : undefined;
}
