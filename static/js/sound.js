// A short, quiet tone for a new message by somebody else in a page that is not in front, for who has asked for it.

const conversation = document.getElementById("conversation");
const self = document.getElementById("composer")?.dataset.author;
const PAUSE = 3000; // milliseconds between tones: a burst makes one

if (conversation && document.documentElement.dataset.sounds) {
  let last = 0;
  let newest = Math.max(0, ...Array.from(conversation.querySelectorAll("[data-seq]"), (item) => Number(item.dataset.seq)));
  new MutationObserver((records) => {
    for (const item of records.flatMap((record) => Array.from(record.addedNodes))) {
      if (!(Number(item.dataset?.seq) > newest)) continue;
      newest = Number(item.dataset.seq);
      const isAway = document.hidden || !document.hasFocus();
      if (item.dataset.author === self || !isAway || Date.now() - last < PAUSE) continue;
      last = Date.now();
      play();
    }
  }).observe(conversation, { childList: true, subtree: true });
}

function play() {
  const audio = new AudioContext();
  const [tone, loudness] = [audio.createOscillator(), audio.createGain()];
  tone.frequency.value = 660;
  loudness.gain.setValueAtTime(0.08, audio.currentTime);
  loudness.gain.exponentialRampToValueAtTime(0.0001, audio.currentTime + 0.35);
  tone.connect(loudness).connect(audio.destination);
  tone.start();
  tone.stop(audio.currentTime + 0.35);
  tone.onended = () => audio.close();
}
