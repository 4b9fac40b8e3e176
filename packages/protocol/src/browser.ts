/**
 * @kv/protocol for browsers: the same exports as `index.ts`, a test says so, and the same results,
 * but nothing of any other package.
 */
export * from './atomic-call.js'
export * from './batch-body.js'
export * from './batch-reply.js'
export * from './calls.js'
export * from './codec.js'
export * from './errors.js'
export * from './event-body.js'
export * from './keys.js'
export * from './limits.js'
export * from './lock-call.js'
export * from './lock-queue.js'
export * from './messages.js'
export * from './system-keys.js'
export * from './topology.js'
export * from './value-decoder-browser.js'
export * from './values.js'
export * from './watch-body.js'
export * from './wire-reader.js'
export * from './wire-writer.js'
