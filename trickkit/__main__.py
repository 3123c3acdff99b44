from trickkit.setup import main

main()
