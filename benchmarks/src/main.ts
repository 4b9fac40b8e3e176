/** Entry of the benchmarks: `npm run bench`. */
console.log('kv benchmarks: nothing to measure yet')
