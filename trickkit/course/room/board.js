// Fetches the page every five seconds and shows what is new, but for what somebody is at just now.
setInterval(async () => {
  const lost = document.getElementById("lost");
  try {
    // without the token the hub takes a page that is fetched for another site's, and asks for a login
    const headers = { "X-XSRFToken": document.body.dataset.xsrf };
    const answer = await fetch(location.href, { headers, redirect: "manual" });
    if (answer.type === "opaqueredirect") return void location.reload(); // to the login page
    if (!answer.ok) throw new Error(answer.status);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of ["head", "hands", "stuck", "choice", "table"]) {
      const [now, then] = [fresh, document].map((page) => page.getElementById(part));
      const used = then.contains(document.activeElement) && document.activeElement !== then;
      if (now.innerHTML !== then.innerHTML && !used) then.innerHTML = now.innerHTML;
    }
    lost.hidden = true;
  } catch {
    lost.hidden = false;
  }
}, 5000);
document.getElementById("choice").addEventListener("change", (event) => event.target.form.submit());
