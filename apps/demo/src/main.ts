/** Entry of the demo: `npm start`. */
console.log('kv demo: nothing to show yet')
