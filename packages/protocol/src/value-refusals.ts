/**
 * What a value cannot hold, and what to store instead: the `TypeError`s of `encodeValue`.
 */

/**
 * By `typeof`, or by the tag that `Object.prototype.toString` gives to a built-in object: what to do
 * instead.
 */
const ADVICE: Readonly<Record<string, string>> = {
  function: 'store the data it needs',
  symbol: 'store its description',
  Promise: 'await it first',
  RegExp: 'store its source and flags',
  Error: 'store its name and message',
  ArrayBuffer: 'wrap it in a Uint8Array',
  SharedArrayBuffer: 'wrap it in a Uint8Array',
  DataView: 'store a Uint8Array of the same bytes',
  Float16Array: 'store a Float32Array',
  WeakMap: 'store a Map',
  WeakSet: 'store a Set',
  WeakRef: 'store what it refers to',
  String: 'store the string',
  Number: 'store the number',
  Boolean: 'store the boolean',
  BigInt: 'store the bigint',
  Symbol: 'store its description',
}

/** Whether everything of this `typeof` or tag is refused, even if it has fields. */
export function isRefused(kind: string): boolean {
  return Object.hasOwn(ADVICE, kind)
}

/** A built-in object without advice keeps its state elsewhere: its fields would say nothing. */
export function refusalOf(kind: string): TypeError {
  const advice = isRefused(kind) ? ADVICE[kind] : 'it has no fields: store data taken from it'
  return new TypeError(`a value of kind ${kind} cannot be stored; ${advice}`)
}
