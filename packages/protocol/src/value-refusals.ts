/**
 * What a value cannot hold, and what to store instead: the `TypeError`s of `encodeValue`.
 */

/** By `typeof`, or by the tag that `Object.prototype.toString` gives to a built-in object. */
const ADVICE: Readonly<Record<string, string>> = {
  function: 'a function cannot be stored; store the data it needs',
  symbol: 'a symbol cannot be stored; store its description',
  Promise: 'a promise cannot be stored; await it first',
  RegExp: 'a RegExp cannot be stored; store its source and flags',
  Error: 'an Error cannot be stored; store its name and message',
  ArrayBuffer: 'an ArrayBuffer cannot be stored; wrap it in a Uint8Array',
  SharedArrayBuffer: 'a SharedArrayBuffer cannot be stored; wrap it in a Uint8Array',
  DataView: 'a DataView cannot be stored; store a Uint8Array of the same bytes',
  Float16Array: 'a Float16Array cannot be stored; store a Float32Array',
  WeakMap: 'a WeakMap cannot be stored; store a Map',
  WeakSet: 'a WeakSet cannot be stored; store a Set',
  WeakRef: 'a WeakRef cannot be stored; store what it refers to',
  String: 'a String object cannot be stored; store the string',
  Number: 'a Number object cannot be stored; store the number',
  Boolean: 'a Boolean object cannot be stored; store the boolean',
  BigInt: 'a BigInt object cannot be stored; store the bigint',
  Symbol: 'a Symbol object cannot be stored; store its description',
}

/** Whether everything of this `typeof` or tag is refused, even if it has fields. */
export function isRefused(kind: string): boolean {
  return Object.hasOwn(ADVICE, kind)
}

/** A built-in object without advice keeps its state elsewhere: its fields would say nothing. */
export function refusalOf(kind: string): TypeError {
  const advice = `an object of kind ${kind} has no fields to store; store data taken from it`
  return new TypeError(isRefused(kind) ? ADVICE[kind] : advice)
}
